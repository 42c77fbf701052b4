import { randomUUID } from 'node:crypto'
import { isMoment, QueueError, toError, type Clock, type Job } from '../../../kernel/index.ts'
import { cronMoments } from '../lib/cron.ts'
import { checkShape } from '../../lib/worker-option.ts'
import { pageShape } from './check-options.ts'
import type { AwaitOptions, AwaitPart, WaitPage } from './options.ts'
import { valueAtPath } from '../lib/field.ts'
import { WEBHOOK_EVENT, type Part, type WaitRequest } from './record.ts'

/**
 * Returns the wait that a worker's `awaitBefore` or `awaitAfter` describes for one job.
 *
 * @throws QueueError `WAIT_INVALID`
 */
export function describeWait(options: AwaitOptions, job: Job, clock: Clock): WaitRequest {
  const mode = 'any' in options ? 'any' : 'all' in options ? 'all' : 'one'
  const given = partsOf(options)
  return {
    mode,
    parts: given.map((part) => describePart(part, job, clock)),
    filters: given.map((part) => {
      const filter = part.type === 'event' ? part.filter : undefined
      return filter && ((payload: unknown) => filter(payload, job))
    }),
    timeout: options.timeout,
    lookback: Math.max(0, ...given.map((part) => (part.type === 'event' ? (part.lookback ?? 0) : 0))),
  }
}

export function partsOf(options: AwaitOptions): readonly AwaitPart[] {
  return 'any' in options ? options.any : 'all' in options ? options.all : [options]
}

function describePart(part: AwaitPart, job: Job, clock: Clock): Part {
  switch (part.type) {
    case 'time':
      return { type: 'time', at: momentOf(part, job, clock.now()) }
    case 'schedule':
      return { type: 'schedule', at: nextMoment(part, clock.now()) }
    case 'webhook':
      return {
        type: 'webhook',
        event: WEBHOOK_EVENT,
        key: randomUUID(),
        once: true,
        hashed: true,
        ...webhookOf(part, job),
      }
    case 'event':
      return { type: 'event', event: part.event, key: keyOf(part, job) }
    default: {
      const came = (part as { type?: unknown }).type
      throw new QueueError(
        'WAIT_INVALID',
        `The type of a wait must be time, event, webhook or schedule; got ${String(came)}.`,
      )
    }
  }
}

function webhookOf(
  { get, page }: Extract<AwaitPart, { type: 'webhook' }>,
  job: Job,
): { get?: boolean; page?: WaitPage } {
  const shown = typeof page === 'function' ? page(job) : page
  if (shown) checkShape(pageShape, shown, { key: 'page', owner: `the wait of job "${job.name}"`, code: 'WAIT_INVALID' })
  return { ...(get && { get }), ...(shown && { page: shown }) }
}

function momentOf({ delay, until }: Extract<AwaitPart, { type: 'time' }>, job: Job, now: number): number {
  const at = until === undefined ? now + (delay ?? NaN) : Number(typeof until === 'function' ? until(job) : until)
  if (isMoment(at)) return at
  throw new QueueError('WAIT_INVALID', 'A wait of type time needs "delay" in milliseconds, or "until" as a valid date.')
}

function nextMoment({ cron, timeZone }: Extract<AwaitPart, { type: 'schedule' }>, now: number): number {
  try {
    const next = cronMoments(cron, timeZone).next(now)
    if (next !== undefined) return next
  } catch (cause) {
    throw new QueueError('WAIT_INVALID', `A wait has an invalid schedule "${cron}": ${toError(cause).message}`, {
      cause,
    })
  }
  const hint = 'Use an expression that matches a moment in the future.'
  throw new QueueError('WAIT_INVALID', `The cron expression "${cron}" of a wait matches no future moment. ${hint}`)
}

function keyOf({ event, match }: Extract<AwaitPart, { type: 'event' }>, job: Job): string {
  if (match === undefined) return ''
  const key = typeof match === 'function' ? match(job) : valueAtPath(job.data, match)
  if (typeof key === 'string' || typeof key === 'number') return String(key)
  const where = typeof match === 'function' ? 'the return value of "match"' : `field "${match}" of the job's data`
  throw new QueueError(
    'WAIT_INVALID',
    `Waiting for "${event}" needs a string or a number as ${where}; got ${typeof key}.`,
  )
}
