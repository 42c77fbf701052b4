import { createHash } from 'node:crypto'
import {
  checkKeys,
  checkText,
  fitText,
  isFinalRefusal,
  isQueueError,
  QueueError,
  type EnqueuedJob,
  type Job,
  type Kernel,
  type RunContext,
} from '../../../kernel/index.ts'
import { parse } from '../../lib/parse.ts'
import { rateOf } from '../../lib/rate-limit.ts'
import { copyValue } from '../../lib/value.ts'
import type { Book, Subscription, Trigger } from './book.ts'
import type { TriggerEvent } from './definition.ts'
import { refusalOf, type History, type TriggerStart } from './history.ts'

export const TRIGGER_QUEUE = '_triggers'
export const FIRE = '_triggers/fire'

const FIRE_OPTIONS = ['id', 'key']

/** What the job of an event carries. */
export interface FireData extends TriggerEvent {
  payload: unknown
  /** True when it has passed the rate limit at the door. */
  admitted: boolean
}

/** Between an event and what it starts lies one job, so that whoever fires writes once. */
export function createFiring(kernel: Kernel, book: Book, history: History) {
  function store(data: FireData): Promise<EnqueuedJob> {
    return kernel.enqueue(FIRE, data, { id: fitText(`${data.trigger}@${data.id}`) })
  }

  /** For a caller who is told what is wrong. */
  async function fire(trigger: Trigger, payload: unknown, given: { id?: string; key?: string }): Promise<EnqueuedJob> {
    const { name, options } = trigger
    checkKeys(`An event of trigger "${name}"`, given, FIRE_OPTIONS)
    const { id = kernel.newId(), key = '' } = given
    checkText(`Option "id" of an event of trigger "${name}"`, id)
    if (key !== '') checkText(`Option "key" of an event of trigger "${name}"`, key)
    const event: TriggerEvent = { trigger: name, id, key, at: kernel.clock.now() }
    const copy = copyValue(payload, kernel.config.payloadLimit, `payload of trigger "${name}"`)
    try {
      if (options.input) await parse(options.input, copy, `payload of trigger "${name}"`)
      await admit(trigger)
    } catch (error) {
      if (isQueueError(error)) await history.refused(event, copy, refusalOf(error))
      throw error
    }
    return store({ ...event, payload: copy, admitted: true })
  }

  async function admit({ name, options: { rateLimit } }: Trigger): Promise<void> {
    const wait = rateLimit ? await kernel.port('limits').take(bucketOf(name), rateOf(rateLimit)) : 0
    if (wait === 0) return
    const { max, duration } = rateOf(rateLimit!)
    const message = `Trigger "${name}" takes no more than ${max} events in ${duration} ms.`
    throw new QueueError('RATE_LIMITED', message, { details: { retryAfter: wait } })
  }

  async function handle(job: Job, ctx: RunContext): Promise<unknown> {
    const { payload: raw, admitted, ...event } = job.data as FireData
    const trigger = book.get(event.trigger)
    const { rateLimit } = trigger.options
    if (rateLimit && !admitted && job.attempt === 1) {
      const wait = await kernel.port('limits').take(bucketOf(trigger.name), rateOf(rateLimit), job.id)
      if (wait > 0) return ctx.defer({ delay: wait })
    }
    const last = job.attempt >= job.attempts
    const shaped = await shape(trigger, raw, event).catch(async (error: unknown) => {
      if (!isFinalRefusal(error) && !last) throw error
      await history.refused(event, raw, refusalOf(error))
      if (!isFinalRefusal(error)) throw error
      return undefined
    })
    if (!shaped) return undefined
    if (!shaped.passes) {
      await history.refused(event, raw, { reason: 'FILTERED', message: 'Its filter has said no.' })
      return undefined
    }
    return startAll(trigger, shaped.payload, raw, event, last)
  }

  async function shape({ name, options }: Trigger, raw: unknown, event: TriggerEvent) {
    const { input, filter, transform } = options
    const payload: unknown = input ? await parse(input, raw, `payload of trigger "${name}"`) : raw
    if (filter && !(await filter(payload, event))) return { passes: false, payload }
    return { passes: true, payload: transform ? await transform(payload, event) : payload }
  }

  /** One that cannot be started does not keep others from it; it is tried again, which is no harm to them. */
  async function startAll(trigger: Trigger, payload: unknown, raw: unknown, event: TriggerEvent, last: boolean) {
    const started: TriggerStart[] = []
    const failures: unknown[] = []
    for (const subscription of book.subscriptionsOf(trigger)) {
      try {
        started.push({ subscription: subscription.id, ...(await start(subscription, payload, event)) })
      } catch (error) {
        started.push({ subscription: subscription.id, ...refusalOf(error) })
        if (!isFinalRefusal(error)) failures.push(error)
      }
    }
    if (failures.length === 0 || last) await history.fired(event, raw, started)
    if (failures.length > 0) throw failures[0]
    return { started }
  }

  async function start(subscription: Subscription, payload: unknown, event: TriggerEvent) {
    const { filter, transform, flow, entry, worker } = subscription
    if (filter && !(await filter(payload, event))) return { reason: 'FILTERED', message: 'Its filter has said no.' }
    const input: unknown = transform ? await transform(payload, event) : payload
    const id = startId(event, subscription)
    const job =
      flow === undefined ? kernel.enqueue(worker!, input, { once: id }) : kernel.flow(flow).start(input, { id, entry })
    const { queue, runId, id: jobId } = await job
    return { queue, runId, jobId }
  }

  return { store, fire, handle }
}
export type Firing = ReturnType<typeof createFiring>

/** A hash, since ids of events come from outside and may be anything. */
function startId({ trigger, id }: TriggerEvent, subscription: Subscription): string {
  const facts = JSON.stringify([trigger, subscription.id, id])
  return `trigger-${createHash('sha256').update(facts).digest('hex').slice(0, 32)}`
}

function bucketOf(name: string): string {
  return `trigger/${name}`
}
