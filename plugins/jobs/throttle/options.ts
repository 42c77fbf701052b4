import { isCount, isDuration } from '../../../kernel/index.ts'
import { warnDeprecated } from '../../lib/deprecated.ts'
import type { JobOptionRule } from '../lib/job-option-rule.ts'
import { isJobKey, type JobKey } from '../lib/job-key.ts'

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

export const throttleRule: JobOptionRule = {
  expected: '{ period, limit?, key? }, a period in milliseconds and a whole number from 1',
  test(value) {
    if (typeof value !== 'object' || value === null) return false
    const { period, max, limit = max ?? 1, key = 'key', ...others } = value as Record<string, unknown>
    if (max !== undefined) warnDeprecated('throttle: { max }', 'throttle: { limit }')
    const isClear = max === undefined || limit === max
    const isSound = isDuration(period) && period >= 1 && isCount(limit) && isJobKey(key)
    return isClear && isSound && Object.keys(others).length === 0
  },
}
