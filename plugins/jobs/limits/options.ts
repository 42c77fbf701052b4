import { EXPECTED, isText } from '../../../kernel/index.ts'
import type { RateLimitOption } from '../../lib/rate-limit.ts'
import type { JobOptionRule } from '../lib/job-option-rule.ts'
import type { JobKey } from '../lib/job-key.ts'

/** How workers share the limits of a key. */
export interface SharedConcurrency {
  /**
   * Counts the jobs with a `concurrencyKey` together with the jobs of all workers in this group. Give all of these workers the same
   * `concurrencyPerKey`. Default: each worker counts only its own jobs.
   */
  concurrencyGroup?: string
}

/** A limit of the jobs of a worker in all processes. It has a `concurrency`, a `rate`, or both. */
export interface WorkerLimit {
  /** How many jobs of one key run at once. */
  concurrency?: number
  /** How many jobs of one key start in a period of milliseconds. */
  rate?: { limit: number; period: number }
  /** Each key is counted separately. Default: all jobs are counted together. */
  key?: JobKey
  /** Counts the jobs of all workers with this group together. Give all of these workers the same limit. Default: only the jobs of this worker. */
  group?: string
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
     * How many jobs of one key run at once in all processes. The key of a job is its option `concurrencyKey`, otherwise the result of `key`
     * for its data. A number is the limit for jobs with a `concurrencyKey`. Default 1.
     */
    concurrencyPerKey?: number | { key: JobKey; limit: number }
    /**
     * How many jobs may start in a period of milliseconds, in all processes. Other jobs wait. With a `key`, each key has its own limit. The
     * option `rateLimitKey` of a job takes precedence over `key`.
     *
     * @example
     * rateLimit: { key: (data: { tenant: string }) => data.tenant, limit: 100, period: 60_000 }
     */
    rateLimit?: RateLimitOption & { key?: JobKey }
    /**
     * With `true`, one job of the worker runs at a time, in all processes together. Other jobs wait, and start in the order in which they
     * were refused. It applies in addition to the other limits. Default `false`.
     */
    singleton?: boolean
    /**
     * Limits that apply together, in all processes: a job starts when each of them allows it. They apply in addition to
     * `concurrencyPerKey` and `rateLimit`. At most 10.
     *
     * @example
     * limits: [
     *   { concurrency: 2, key: (data: { tenant: string }) => data.tenant },
     *   { concurrency: 20 },
     *   { rate: { limit: 100, period: 60_000 }, group: 'crm' },
     * ]
     */
    limits?: readonly WorkerLimit[]
  }
}

/** The rule of `concurrencyKey` and of `rateLimitKey`. */
export const limitKeyRule: JobOptionRule = { expected: EXPECTED.text, test: (value) => isText(value), worker: false }
