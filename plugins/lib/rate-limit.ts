import { z } from 'zod'
import { isText, MAX_COUNT, MAX_DURATION, type RateLimit } from '../../kernel/index.ts'
import { warnDeprecated } from './deprecated.ts'

/** How many jobs may start within a period of milliseconds. `max` and `duration` are its deprecated names. */
export type RateLimitOption = { limit: number; period: number } | RateLimit

export const keyShape = z.custom((key) => isText(key) || typeof key === 'function', 'is text or a function of the data')
export const limitShape = z.number().int().min(1).max(MAX_COUNT)
const periodShape = z.number().min(1).max(MAX_DURATION)

const members = {
  limit: limitShape.optional(),
  period: periodShape.optional(),
  max: limitShape.optional(),
  duration: periodShape.optional(),
}

/** Checks a rate by its current names. */
export const newRateShape = z.strictObject({ limit: limitShape, period: periodShape })

/** Whether a limit has both of its members, under their current names or their deprecated names. */
function isComplete({ limit, max, period, duration }: Record<string, unknown>): boolean {
  const isNew = limit !== undefined && period !== undefined && max === undefined && duration === undefined
  return isNew || (limit === undefined && period === undefined && max !== undefined && duration !== undefined)
}

const EXPECTED = 'is { limit, period }, a whole number and milliseconds'

/** Checks a rate limit without a key. */
export const rateLimitShape = z.strictObject(members).refine(isComplete, EXPECTED)
/** Checks a rate limit that may have a key. */
export const keyedRateLimitShape = z.strictObject({ ...members, key: keyShape.optional() }).refine(isComplete, EXPECTED)

/** Returns a rate limit as the port `limits` takes it. */
export function rateOf(option: RateLimitOption): RateLimit {
  return 'limit' in option ? { max: option.limit, duration: option.period } : option
}

/** Warns about the deprecated members of a rate limit. */
export function warnOfOldRateLimit(option: RateLimitOption): void {
  if ('max' in option) warnDeprecated('rateLimit: { max, duration }', 'rateLimit: { limit, period }')
}
