import { isDuration, type JobOptions } from '../../kernel/index.ts'

/** The accepted forms of a backoff, for error messages. */
export const BACKOFF = 'milliseconds, or { type: "fixed" | "exponential", delay, maxDelay?, jitter? }'

/** Returns whether a value is a backoff: a number of milliseconds, or a strategy. */
export function isBackoff(value: unknown): value is NonNullable<JobOptions['backoff']> {
  if (typeof value !== 'object' || value === null) return isDuration(value)
  const { type, delay, maxDelay = 0, jitter = 0, ...others } = value as Record<string, unknown>
  return (
    (type === 'fixed' || type === 'exponential') &&
    isDuration(delay) &&
    isDuration(maxDelay) &&
    isDuration(jitter) &&
    jitter <= 1 &&
    Object.keys(others).length === 0
  )
}
