import { EXPECTED, isText } from '../../../kernel/index.ts'
import { isWeight, MAX_WEIGHT, MIN_WEIGHT } from '../../lib/fair-options.ts'
import type { JobOptionRule } from '../lib/job-option-rule.ts'
import type { JobKey } from '../lib/job-key.ts'

/** How the keys of a worker take turns. */
export interface Fairness {
  /**
   * How many jobs a key starts in each turn, from 0.01 to 100, by key. Default for each key: 1. The option `fairWeight` of a job takes
   * precedence.
   */
  weights?: Readonly<Record<string, number>>
}

declare module 'nuxt-queue/kernel' {
  interface SingleJobOptions {
    /** Jobs with different keys take turns, even if one key has many more waiting jobs. Takes precedence over `fairKey` of the worker. */
    fairKey?: string
    /** How many jobs of its key start in each turn, from 0.01 to 100. Default: the weight in `fairness` of the worker, otherwise 1. */
    fairWeight?: number
  }
  interface WorkerConfig {
    /**
     * The keys of waiting jobs take turns: each key starts one job a turn, in the order of its arrival. Usually a tenant. A function of the
     * data, or a string for all jobs of the worker.
     *
     * @example
     * fairKey: (data: { tenant: string }) => data.tenant
     */
    fairKey?: JobKey
    /** How the keys of `fairKey` take turns. */
    fairness?: Fairness
  }
}

/** `fairKey` of a worker is an option of its own, because it may be a function. */
export const fairKeyRule: JobOptionRule = { expected: EXPECTED.text, test: (value) => isText(value), worker: false }

export const fairWeightRule: JobOptionRule = {
  expected: `a number from ${MIN_WEIGHT} to ${MAX_WEIGHT}`,
  test: isWeight,
  worker: false,
}
