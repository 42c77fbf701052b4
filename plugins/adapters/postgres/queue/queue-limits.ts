import type { QueueLimits, QueueLimitsChange } from '../../../../kernel/index.ts'

/** The columns of `nq_queue` with the limits of a queue. */
export interface LimitColumns {
  concurrency: number | null
  rate_limit: number | null
  /** In milliseconds. */
  rate_period: number | null
}

/** Returns the columns to write for a change. A change of the rate begins a new period. */
export function limitColumns({ concurrency, rate }: QueueLimitsChange): Record<string, number | null> {
  return {
    ...(concurrency !== undefined && { concurrency }),
    ...(rate !== undefined && {
      rate_limit: rate?.limit ?? null,
      rate_period: rate?.period ?? null,
      rate_used: 0,
      rate_until: null,
    }),
  }
}

export function limitsOf(row: LimitColumns | undefined): QueueLimits {
  const { concurrency = null, rate_limit: limit = null, rate_period: period = null } = row ?? {}
  return {
    ...(concurrency !== null && { concurrency }),
    ...(limit !== null && period !== null && { rate: { limit, period } }),
  }
}
