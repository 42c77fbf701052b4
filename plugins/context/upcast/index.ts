import { z } from 'zod'
import { definePlugin } from '../../../kernel/index.ts'
import { anyFunction, workerOption } from '../../lib/worker-option.ts'
import { createUpcasts, type Upcast, type Upcasts, type UpcastTable } from './upcasts.ts'

export type { Upcast, UpcastEvent, Upcasts, UpcastTable } from './upcasts.ts'

declare module 'nuxt-queue/kernel' {
  interface WorkerConfig {
    /** Functions that convert stored events to their current form, by type of event. They apply to all runs. */
    upcast?: UpcastTable
  }
  interface Kernel {
    /** Converts events for plugins that fold them or show them to people. */
    readonly upcasts: Upcasts
  }
}

/** Keeps events readable that older versions of an application wrote. State is folded from their current form. */
export default definePlugin({
  name: 'upcast',
  enforce: 'pre',
  /** Upcasters by type of event. */
  options: z.record(
    z.string(),
    z.custom<Upcast>(
      (value) => typeof value === 'function',
      'is a function that returns the event in its current form',
    ),
  ),
  workerOptions: { upcast: workerOption('upcast', z.record(z.string(), anyFunction), { code: 'WORKER_INVALID' }) },
  setup(kernel, configured) {
    const upcasts = createUpcasts(kernel, configured)
    // Fails at the start, and not later when a state is read.
    kernel.onWorkerStart(() => void upcasts.version)
    kernel.hook('reduce', (payload, next) => {
      payload.events = upcasts.apply(payload.events)
      return next()
    })
    kernel.extend({ upcasts })
  },
})
