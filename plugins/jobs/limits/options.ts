import type { RateLimitOption } from '../../lib/rate-limit.ts'
import type { JobKey } from '../lib/job-key.ts'

/** How workers share the limits of a key. */
export interface SharedConcurrency {
  /**
   * Counts the jobs of a `concurrencyKey` together with those of the other workers of this group; give all of them the
   * same `concurrencyPerKey`. Default: each worker counts its own.
   */
  concurrencyGroup?: string
}

declare module 'nuxt-queue/kernel' {
  interface SingleJobOptions {
    /** At most `concurrencyPerKey` jobs of the worker with the same key run at once. */
    concurrencyKey?: string
    /** Jobs with the same key share the worker's `rateLimit`. Default: all its jobs share it. */
    rateLimitKey?: string
  }
  interface WorkerConfig extends SharedConcurrency {
    /**
     * How many jobs of one key run at once in all processes. The key of a job is its option `concurrencyKey`, else what
     * `key` makes of its data. A number is the limit for jobs with a `concurrencyKey`. Default 1.
     */
    concurrencyPerKey?: number | { key: JobKey; limit: number }
    /**
     * How many jobs may start in a period of milliseconds, in all processes; the others wait. With a `key`, each key has a
     * limit of its own. The option `rateLimitKey` of a job comes before it.
     *
     * @example
     * rateLimit: { key: (data: { tenant: string }) => data.tenant, limit: 100, period: 60_000 }
     */
    rateLimit?: RateLimitOption & { key?: JobKey }
  }
}
