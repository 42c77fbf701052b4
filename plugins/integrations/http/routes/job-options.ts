import { z } from 'zod'
import { isReserved, unknownKey, type Kernel } from '../../../../kernel/index.ts'
import { bodyDelay, count, headers, ms, name, priority, tags } from './values.ts'

/** The name of a queue that does not belong to a plugin. */
const queueName = name.refine((queue) => !isReserved('queue', queue), 'Names that start with "_" belong to plugins')

const STATES = ['waiting', 'delayed', 'active', 'completed', 'failed', 'cancelled'] as const
const REPLACED = ['data', 'delay'] as const

/** The options of every caller. `assertOptions` checks further options that the application defined with `http: true`. */
export const jobOptions = z.looseObject({
  /** The id of the job. If the queue knows a job with this id, that job is returned. */
  id: name.optional(),
  attempts: count.optional(),
  backoff: z
    .union([
      ms,
      z.strictObject({
        type: z.enum(['fixed', 'exponential']),
        delay: ms,
        maxDelay: ms.optional(),
        jitter: z.number().min(0).max(1).optional(),
      }),
    ])
    .optional(),
  /** Milliseconds, or the ISO date before which the job does not run. */
  delay: bodyDelay.optional(),
  priority: priority.optional(),
  ageing: ms.optional(),
  timeout: ms.optional(),
  /** Milliseconds that the job may wait until its handler begins. */
  expiresIn: ms.optional(),
  concurrencyKey: name.optional(),
  rateLimitKey: name.optional(),
  deadLetter: queueName.optional(),
  fairKey: name.optional(),
  fairWeight: z.number().min(0.01).max(100).optional(),
  tags: tags.optional(),
  headers: headers.optional(),
  /** `delay` is the deprecated name of `period`. */
  debounce: z
    .strictObject({ key: name.optional(), period: ms.optional(), delay: ms.optional(), maxWait: ms.optional() })
    .optional(),
  /** `max` is the deprecated name of `limit`. */
  throttle: z
    .strictObject({ key: name.optional(), limit: count.optional(), period: ms, max: count.optional() })
    .optional(),
  unique: z
    .strictObject({
      key: name.optional(),
      for: ms.optional(),
      states: z.array(z.enum(STATES)).max(STATES.length).optional(),
      replace: z.array(z.enum(REPLACED)).max(REPLACED.length).optional(),
    })
    .optional(),
})

/** @throws QueueError `VALIDATION_FAILED` for an option that HTTP callers may not set */
export function assertOptions(kernel: Kernel, given: object): void {
  const custom = [...kernel.customJobOptions].filter(([, { http }]) => http).map(([key]) => key)
  const known = [...Object.keys(jobOptions.shape), ...custom]
  const unknown = Object.keys(given).find((key) => !known.includes(key))
  if (unknown !== undefined) throw unknownKey('The options of a job', unknown, known, 'VALIDATION_FAILED')
}
