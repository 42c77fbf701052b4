import type { WorkerDefinition } from '../../kernel/index.ts'
import { rateOf } from './rate-limit.ts'

/** Limits of the jobs of a worker, besides its concurrency in each process. Times are in milliseconds. */
export interface WorkerLimits {
  /** How many jobs of one key run at once in all processes. */
  perKey?: number
  /** How many jobs may start in a period, in all processes. */
  rate?: { limit: number; period: number; byKey: boolean }
  /** How long an attempt may take. */
  timeout?: number
}

/** Returns the limits of a worker, or `undefined` if it has none. */
export function limitsOf({ worker }: WorkerDefinition): WorkerLimits | undefined {
  const { concurrencyPerKey, rateLimit, timeout } = worker
  const limits: WorkerLimits = {}
  if (concurrencyPerKey !== undefined) {
    limits.perKey = typeof concurrencyPerKey === 'number' ? concurrencyPerKey : concurrencyPerKey.limit
  }
  if (rateLimit) {
    const { max, duration } = rateOf(rateLimit)
    limits.rate = { limit: max, period: duration, byKey: rateLimit.key !== undefined }
  }
  if (timeout !== undefined) limits.timeout = timeout
  return Object.keys(limits).length === 0 ? undefined : limits
}
