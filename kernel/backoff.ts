import type { JobOptions } from '../contracts/index.ts'
import type { Attempt } from './attempt.ts'
import { EXPECTED, invalid, isDuration, MAX_DURATION } from './bounds.ts'

const ONE_DAY = 86_400_000

/**
 * Returns how long to wait after a failed attempt, in milliseconds. `random` is in [0, 1). The result is always a duration that every store
 * accepts, even if another producer has stored invalid options.
 */
export function backoffDelay(backoff: JobOptions['backoff'], attempt: number, random = Math.random): number {
  if (typeof backoff !== 'object' || backoff === null) return clamp(backoff)
  const { type, delay, jitter = 0, maxDelay = ONE_DAY } = backoff
  // After about a thousand doublings the factor is Infinity, and Infinity times 0 is NaN.
  const wait =
    type === 'exponential' ? Math.min(clamp(delay) * 2 ** Math.min(attempt - 1, 1000), clamp(maxDelay)) : delay
  return Math.round(clamp(wait) * (1 - Math.min(1, clamp(jitter)) * random()))
}

/**
 * Returns how long a job waits after a failed attempt, in milliseconds, or false if its worker decides that the job fails. The `backoff` of
 * the job takes precedence over a function of its worker. If the function fails, the default of all jobs applies.
 */
export function retryDelay({ kernel, record, worker, number }: Attempt, error: Error): number | false {
  const own = record.options.backoff
  const choose = own === undefined && worker.worker.backoff
  if (typeof choose !== 'function') return backoffDelay(own, number)
  const what = `The result of "backoff" of worker "${worker.id}"`
  try {
    const delay: unknown = choose(number, error)
    if (delay === false || isDuration(delay)) return delay && Math.round(delay)
    throw invalid(what, `${EXPECTED.duration}, or false`, delay)
  } catch (cause) {
    kernel.reporter.error(`${what} cannot be used. The default of all jobs applies.`, cause)
    return backoffDelay(kernel.config.jobs.backoff, number)
  }
}

function clamp(value: unknown): number {
  return typeof value === 'number' && value > 0 ? Math.min(value, MAX_DURATION) : 0
}
