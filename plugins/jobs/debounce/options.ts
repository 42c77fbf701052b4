import type { JobKey } from '../lib/job-key.ts'

/** Selects the jobs to hold back, and sets for how long. */
export interface Debounce {
  /** Jobs with the same key belong together. Default: all jobs of the worker. */
  key?: JobKey
  /** Milliseconds without a further call before the job runs. Required. */
  period?: number
  /** The maximum time from the first call until the job runs, in milliseconds. Default: no limit. */
  maxWait?: number
  /** @deprecated Use `period`. */
  delay?: number
  /** @internal Set by the plugin: the call that stored the job. */
  call?: string
}

declare module 'nuxt-queue/kernel' {
  interface JobOptions {
    /** Holds back jobs with the same key until no more arrive. Then one job runs, with the newest data. */
    debounce?: Debounce
  }
}
