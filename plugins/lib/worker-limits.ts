import type { WorkerDefinition } from '../../kernel/index.ts'
import { rateOf } from './rate-limit.ts'

/** Limits of the jobs of a worker, besides its concurrency in each process. Times are in milliseconds. */
export interface WorkerLimits {
  /** How many jobs of one key run at once in all processes. */
  perKey?: number
  /** How many jobs may start in a period, in all processes. */
  rate?: RateView
  /** How long an attempt may take. */
  timeout?: number
  /** One job runs at a time, in all processes together. */
  singleton?: true
  /** Waiting jobs of different keys take turns. */
  fair?: true
  /** The limits of the option `limits`, which apply together. */
  combined?: { concurrency?: number; rate?: Omit<RateView, 'byKey'>; byKey: boolean; group?: string }[]
}

interface RateView {
  limit: number
  period: number
  byKey: boolean
}

/** Returns the limits of a worker, or `undefined` if it has none. */
export function limitsOf({ worker }: WorkerDefinition): WorkerLimits | undefined {
  const { concurrencyPerKey, rateLimit, timeout, singleton, fairKey, limits: combined } = worker
  const limits: WorkerLimits = {}
  if (concurrencyPerKey !== undefined) {
    limits.perKey = typeof concurrencyPerKey === 'number' ? concurrencyPerKey : concurrencyPerKey.limit
  }
  if (rateLimit) {
    const { max, duration } = rateOf(rateLimit)
    limits.rate = { limit: max, period: duration, byKey: rateLimit.key !== undefined }
  }
  if (timeout !== undefined) limits.timeout = timeout
  if (singleton) limits.singleton = true
  if (fairKey !== undefined) limits.fair = true
  if (combined) limits.combined = combined.map(({ key, ...limit }) => ({ ...limit, byKey: key !== undefined }))
  return Object.keys(limits).length === 0 ? undefined : limits
}
