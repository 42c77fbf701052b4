import { z } from 'zod'
import {
  EXPECTED,
  isDuration,
  isMoment,
  isText,
  QueueError,
  shown,
  type WorkerDefinition,
  type WorkerOptionCheck,
} from '../../../kernel/index.ts'
import { cronMoments } from '../lib/cron.ts'
import { anyFunction, checkShape } from '../../lib/worker-option.ts'

const text = z.custom((value) => isText(value), `is ${EXPECTED.text}`)
const duration = z.custom(isDuration, `is ${EXPECTED.duration}`)
const moment = z.custom(
  (value) => isMoment(value) || typeof value === 'function',
  `is ${EXPECTED.moment}, or a function that returns one for the job`,
)

const limits = { timeout: duration.optional(), timeoutAction: z.enum(['fail', 'continue', 'skip']).optional() }

const sentence = z.string().min(1).max(1000).optional()
/** The texts of a page. */
export const pageShape = z.strictObject({ title: sentence, text: sentence, button: sentence })

const PARTS = {
  time: { type: z.literal('time'), delay: duration.optional(), until: moment.optional() },
  schedule: {
    type: z.literal('schedule'),
    cron: z.custom(isCron, 'is a cron expression that matches a moment in the future'),
    timeZone: text.optional(),
  },
  event: {
    type: z.literal('event'),
    event: text,
    match: z
      .custom((value) => isText(value) || typeof value === 'function', 'is the path of a field, or a function')
      .optional(),
    filter: anyFunction.optional(),
    lookback: duration.optional(),
  },
  webhook: {
    type: z.literal('webhook'),
    get: z.boolean().optional(),
    page: z.union([anyFunction, pageShape]).optional(),
  },
} as const
const TYPES = Object.keys(PARTS)

/** @throws QueueError `WAIT_INVALID` */
export function awaitOption(key: 'awaitBefore' | 'awaitAfter'): WorkerOptionCheck {
  return (value, worker) => {
    const { any, all } = Object(value) as { any?: unknown; all?: unknown }
    const group = any === undefined ? 'all' : 'any'
    const parts = any ?? all
    if (parts === undefined) return checkPart(value, key, worker, limits)
    const shape = z.strictObject({ [group]: z.array(z.unknown()).min(1), ...limits })
    checkShape(shape, value, { key, owner: ownerOf(worker), code: 'WAIT_INVALID' })
    for (const [index, part] of (parts as unknown[]).entries()) checkPart(part, `${key}.${group}.${index}`, worker, {})
  }
}

function checkPart(value: unknown, key: string, worker: WorkerDefinition, more: Partial<typeof limits>): void {
  const { type } = Object(value) as { type?: unknown }
  if (typeof type !== 'string' || !TYPES.includes(type)) {
    const message = `Option "${key}" of ${ownerOf(worker)} must have a "type" of ${TYPES.join(', ')}; got ${shown(value)}.`
    throw new QueueError('WAIT_INVALID', message, { retryable: false, details: { option: key } })
  }
  const shape = z.strictObject({ ...PARTS[type as keyof typeof PARTS], ...more })
  checkShape(shape, value, { key, owner: ownerOf(worker), code: 'WAIT_INVALID' })
  const { delay, until } = value as { delay?: unknown; until?: unknown }
  if (type !== 'time' || (delay === undefined) !== (until === undefined)) return
  const message = `Option "${key}" of ${ownerOf(worker)} has type "time" and must have either "delay" or "until"; got ${shown(value)}.`
  throw new QueueError('WAIT_INVALID', message, { retryable: false, details: { option: key } })
}

function ownerOf({ id }: WorkerDefinition): string {
  return `worker "${id}"`
}

function isCron(value: unknown): boolean {
  try {
    return typeof value === 'string' && cronMoments(value, undefined).next(Date.now()) !== undefined
  } catch {
    return false
  }
}
