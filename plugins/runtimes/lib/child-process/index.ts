/** What a runtime plugin for another language is made of: `nuxt-queue/child-process`. */
export { createChild, type Child, type ChildOptions } from './child.ts'
export { createChildHost, fileOf, type Birth, type ChildHost, type HostSpec, type Launch } from './host.ts'
export { hostOptions, type HostOptions, type ProcessOptions } from './options.ts'
