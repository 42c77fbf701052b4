import { isDuration, type JobState } from '../../../kernel/index.ts'
import { isListOf } from '../../lib/check-options.ts'
import { JOB_STATES } from '../lib/check-filter.ts'
import type { JobOptionRule } from '../lib/job-option-rule.ts'
import { isJobKey, type JobKey } from '../lib/job-key.ts'

/** Selects the jobs of which there is one at a time. */
export interface Unique {
  /** Jobs with the same key are the same. Default: all jobs of the worker. */
  key?: JobKey
  /** Milliseconds after its creation during which a job counts. Default: no limit. */
  for?: number
  /** The states in which a job counts. Default: `waiting`, `delayed` and `active`. */
  states?: readonly JobState[]
  /** What a further call changes in the job, if it has not begun: its data, or when it is due. Default: nothing. */
  replace?: readonly ('data' | 'delay')[]
  /** @internal Set by the plugin: the call that stored the job, if it has a name. */
  call?: string
}

declare module 'nuxt-queue/kernel' {
  interface JobOptions {
    /** Stores no second job with the same key while the first one waits or runs. `enqueue` then returns the first one. */
    unique?: Unique
  }
}

export const uniqueRule: JobOptionRule = {
  expected: '{ key?, for?, states?, replace? }, with a list of states, and replace a list of "data" and "delay"',
  test(value) {
    if (typeof value !== 'object' || value === null) return false
    const { key = 'key', for: window = 1, states = [], replace = [], ...others } = value as Record<string, unknown>
    const isSound = isJobKey(key) && isDuration(window) && window > 0 && Object.keys(others).length === 0
    return isSound && isListOf(states, JOB_STATES) && isListOf(replace, ['data', 'delay'])
  },
}
