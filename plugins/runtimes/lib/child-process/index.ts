/** Building blocks for a runtime plugin of another language, exported as `nuxt-queue/child-process`. */
export { createChild, type Child, type ChildOptions } from './child.ts'
export {
  createChildHost,
  fileOf,
  type SpawnRequest,
  /** @deprecated Use `SpawnRequest`. */
  type SpawnRequest as Birth,
  type ChildHost,
  type HostSpec,
  type Launch,
} from './host.ts'
export { hostOptions, type HostOptions, type ProcessOptions } from './options.ts'
