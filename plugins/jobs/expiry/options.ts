import { isDuration } from '../../../kernel/index.ts'
import type { JobOptionRule } from '../lib/job-option-rule.ts'

/** How long a job may wait. */
export interface JobExpiry {
  /**
   * How long the job may wait until its handler begins, in milliseconds, from when it is due. After that it is not run and fails with
   * `JOB_EXPIRED`, without further attempts. A job that has begun once does not expire. Default: no limit.
   */
  expiresIn?: number
}

declare module 'nuxt-queue/kernel' {
  interface JobOptions extends JobExpiry {}
}

export const expiresInRule: JobOptionRule = {
  expected: 'milliseconds, a number above 0 and up to a thousand years',
  test: (value) => isDuration(value) && value !== 0,
}
