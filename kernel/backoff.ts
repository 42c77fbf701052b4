import type { JobOptions } from '../contracts/index.ts'

const ONE_DAY = 86_400_000

/** The time a failed attempt waits, in milliseconds. `random` is in [0, 1). */
export function backoffDelay(backoff: JobOptions['backoff'], attempt: number, random = Math.random): number {
  if (typeof backoff !== 'object') return backoff ?? 0
  const { type, delay, jitter = 0, maxDelay = ONE_DAY } = backoff
  const wait = type === 'fixed' ? delay : Math.min(delay * 2 ** (attempt - 1), maxDelay)
  return Math.round(wait * (1 - jitter * random()))
}
