import type { JobKey } from '../lib/job-key.ts'

/** Which jobs are held back, and for how long. */
export interface Debounce {
  /** Which jobs belong together. Default: all jobs of the worker. */
  key?: JobKey
  /** Milliseconds of silence before the job runs. Required. */
  period?: number
  /** Milliseconds after the first call that the job runs at the latest. Default: no limit. */
  maxWait?: number
  /** @deprecated Use `period`. */
  delay?: number
  /** @internal Set by the plugin: the call that stored the job. */
  call?: string
}

declare module 'nuxt-queue/kernel' {
  interface JobOptions {
    /** Holds jobs of one key back until they stop coming; then one runs, with the newest data. */
    debounce?: Debounce
  }
}
