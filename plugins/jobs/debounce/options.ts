import { isDuration } from '../../../kernel/index.ts'
import { warnDeprecated } from '../../lib/deprecated.ts'
import type { JobOptionRule } from '../lib/job-option-rule.ts'
import { isJobKey, type JobKey } from '../lib/job-key.ts'

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

export const debounceRule: JobOptionRule = {
  expected: '{ period, maxWait?, key? }, in milliseconds',
  test(value) {
    if (typeof value !== 'object' || value === null) return false
    const { delay, period = delay, maxWait = 0, key = 'key', ...others } = value as Record<string, unknown>
    if (delay !== undefined) warnDeprecated('debounce: { delay }', 'debounce: { period }')
    const isClear = delay === undefined || period === delay
    return isClear && isDuration(period) && isDuration(maxWait) && isJobKey(key) && Object.keys(others).length === 0
  },
}
