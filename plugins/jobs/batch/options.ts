import type { JobKey } from '../lib/job-key.ts'

/** Which jobs come together to one call of the handler. */
export interface Batch {
  /** How many jobs at most. */
  size: number
  /** Milliseconds that the first one waits for others at most. */
  wait: number
  /** Only jobs of one key come together. Default: any. */
  key?: JobKey
}

declare module 'nuxt-queue/kernel' {
  interface WorkerConfig {
    /** Hands several jobs to the handler at once: its data is an array, and so is what it returns. */
    batch?: Batch
  }
}
