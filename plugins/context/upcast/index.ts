import { z } from 'zod'
import { definePlugin } from '../../../kernel/index.ts'
import { anyFunction, workerOption } from '../../lib/worker-option.ts'
import { createUpcasts, type Upcast, type Upcasts, type UpcastTable } from './upcasts.ts'

export type { Upcast, UpcastEvent, Upcasts, UpcastTable } from './upcasts.ts'

declare module 'nuxt-queue/kernel' {
  interface WorkerConfig {
    /** By type of event: how one that an older version of the application stored reads today. For all runs. */
    upcast?: UpcastTable
  }
  interface Kernel {
    /** For plugins that fold events, or show them to people. */
    readonly upcasts: Upcasts
  }
}

/** Keeps events readable that older versions of an application have written: state is folded from what they are today. */
export default definePlugin({
  name: 'upcast',
  enforce: 'pre',
  /** Upcasters by type of event. */
  options: z.record(
    z.string(),
    z.custom<Upcast>((value) => typeof value === 'function', 'is a function that answers the event as of today'),
  ),
  workerOptions: { upcast: workerOption('upcast', z.record(z.string(), anyFunction), { code: 'WORKER_INVALID' }) },
  setup(kernel, configured) {
    const upcasts = createUpcasts(kernel, configured)
    // Tells at the start what is wrong, rather than when somebody asks for a state.
    kernel.onWorkerStart(() => void upcasts.version)
    kernel.hook('reduce', (payload, next) => {
      payload.events = upcasts.apply(payload.events)
      return next()
    })
    kernel.extend({ upcasts })
  },
})
