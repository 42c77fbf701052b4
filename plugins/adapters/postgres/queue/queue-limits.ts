import type { QueueLimits } from '../../../../kernel/index.ts'

/** The columns of `nq_queue` with the limits of a queue. */
export interface LimitColumns {
  concurrency: number | null
  rate_limit: number | null
  /** In milliseconds. */
  rate_period: number | null
}

export function queueLimitsOf(row: LimitColumns | undefined): QueueLimits {
  const { concurrency = null, rate_limit: limit = null, rate_period: period = null } = row ?? {}
  return {
    ...(concurrency !== null && { concurrency }),
    ...(limit !== null && period !== null && { rate: { limit, period } }),
  }
}
