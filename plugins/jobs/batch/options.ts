import type { JobKey } from '../lib/job-key.ts'

/** Selects the jobs that one call of the handler receives. */
export interface Batch {
  /** The maximum number of jobs. */
  size: number
  /** The maximum time that the first job waits for others, in milliseconds. */
  wait: number
  /** Only jobs with the same key form a batch. Default: all jobs of the worker. */
  key?: JobKey
}

declare module 'nuxt-queue/kernel' {
  interface WorkerConfig {
    /** Passes several jobs to the handler at once. The data is an array, and the handler returns an array of results. */
    batch?: Batch
  }
}
