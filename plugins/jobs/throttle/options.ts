import type { JobKey } from '../lib/job-key.ts'

/** Selects the jobs that are let through. */
export interface Throttle {
  /** Jobs with the same key belong together. Default: all jobs of the worker. */
  key?: JobKey
  /** How many jobs are let through in each period. Default 1. */
  limit?: number
  /** Milliseconds. Periods begin at multiples of it since the epoch. */
  period: number
  /** @deprecated Use `limit`. */
  max?: number
  /** @internal Set by the plugin: the call that stored the job, if it has a name. */
  call?: string
}

declare module 'nuxt-queue/kernel' {
  interface JobOptions {
    /** Lets a number of jobs with the same key through in each period, and drops the others. */
    throttle?: Throttle
  }
}
