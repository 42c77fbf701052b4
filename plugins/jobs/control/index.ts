import { definePlugin } from '../../../kernel/index.ts'
import { createControl, type Control } from './control.ts'

export type { Control } from './control.ts'
export type { JobRef } from './job-ref.ts'

declare module 'nuxt-queue/kernel' {
  interface Kernel extends Control {}
}

/** Cancel, retry and wait for jobs, from any instance. */
export default definePlugin({
  name: 'control',
  requires: ['queue', 'events'],
  async setup(kernel) {
    const { members, listen } = createControl(kernel)
    kernel.extend(members)
    return listen()
  },
})
