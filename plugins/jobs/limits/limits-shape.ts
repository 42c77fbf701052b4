import { z } from 'zod'
import { MAX_TEXT_BYTES } from '../../../kernel/index.ts'
import { keyShape, limitShape, newRateShape } from '../../lib/rate-limit.ts'
import type { WorkerLimit } from './options.ts'

/** The maximum number of entries. */
const MAX_LIMITS = 10

const limit = z
  .strictObject({
    concurrency: limitShape.optional(),
    rate: newRateShape.optional(),
    key: keyShape.optional(),
    group: z.string().min(1).max(MAX_TEXT_BYTES).optional(),
  })
  .refine(({ concurrency, rate }) => (concurrency ?? rate) !== undefined, 'has "concurrency", "rate" or both')
/** Checks the option `limits`. */
export const limitsShape = z
  .array(limit)
  .min(1)
  .max(MAX_LIMITS)
  .refine(hasDistinctGroups, 'names each group in at most one concurrency and one rate')

/** Two limits of one group with different maximums would count the same jobs. */
function hasDistinctGroups(limits: readonly Omit<WorkerLimit, 'key'>[]): boolean {
  const names = limits.flatMap(({ concurrency, rate, group }) =>
    group === undefined ? [] : [...(concurrency === undefined ? [] : [`c ${group}`]), ...(rate ? [`r ${group}`] : [])],
  )
  return new Set(names).size === names.length
}
