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
import type { RunningTriggers } from './running.ts'
import type { TriggerRegistry, NamedSubscription, Trigger } from './trigger-registry.ts'
import type { TriggerEvent } from './definition.ts'
import { refusalOf, type History, type TriggerStart } from './history.ts'

export const TRIGGER_QUEUE = '_triggers'
export const FIRE = '_triggers/fire'

const FIRE_OPTIONS = ['id', 'key', 'headers']

/** Data of the job of an event. */
export interface FireData extends TriggerEvent {
  payload: unknown
  /** True when the event passed the rate limit before it was stored. */
  admitted: boolean
  /** For a request to a webhook: whether its sender proved its origin. */
  verified?: boolean
}

/** The options of a caller for an event. */
export interface FireOptions {
  id?: string
  key?: string
  /** Text that travels with the event to the jobs that it starts, such as the context of a trace. Default: none. */
  headers?: Readonly<Record<string, string>>
}

const PAUSED = 'TRIGGER_PAUSED'
/** Milliseconds after which the sender of a request may try a paused trigger again. */
const PAUSED_RETRY = 60_000

/** Fires triggers. Each event becomes one job, which starts the targets, so that firing is a single write. */
export function createFiring(kernel: Kernel, registry: TriggerRegistry, running: RunningTriggers, history: History) {
  function store(data: FireData, headers?: FireOptions['headers']): Promise<EnqueuedJob> {
    return kernel.enqueue(FIRE, data, { id: fitText(`${data.trigger}@${data.id}`), ...(headers && { headers }) })
  }

  /** Fires a trigger for a caller, who receives errors of validation, of a pause and of the rate limit at once. */
  async function fire(name: string, payload: unknown, given: FireOptions, verified?: boolean): Promise<EnqueuedJob> {
    const trigger = await running.get(name)
    checkKeys(`An event of trigger "${name}"`, given, FIRE_OPTIONS)
    const { id = kernel.newId(), key = '', headers } = given
    checkText(`Option "id" of an event of trigger "${name}"`, id)
    if (key !== '') checkText(`Option "key" of an event of trigger "${name}"`, key)
    const at = kernel.clock.now()
    const event = { trigger: name, id, key, at, ...(verified !== undefined && { verified }) }
    const copy = copyValue(payload, kernel.config.payloadLimit, `payload of trigger "${name}"`)
    try {
      if (trigger.paused) {
        const details = { retryAfter: PAUSED_RETRY }
        throw new QueueError(PAUSED, `${pausedText(name)} Resume it to fire it.`, { details })
      }
      const { input } = trigger.options
      if (input) await parse(input, copy, `payload of trigger "${name}"`)
      await admit(trigger)
    } catch (error) {
      if (isQueueError(error)) await history.refused(event, copy, refusalOf(error))
      throw error
    }
    return store({ ...event, payload: copy, admitted: true }, headers)
  }

  async function admit({ name, options: { rateLimit } }: Trigger): Promise<void> {
    const wait = rateLimit ? await kernel.port('limits').take(bucketOf(name), rateOf(rateLimit)) : 0
    if (wait === 0) return
    const { max, duration } = rateOf(rateLimit!)
    const what = `Trigger "${name}" reached its rate limit of ${max} events in ${duration} ms.`
    const message = `${what} Try again in ${wait} ms.`
    throw new QueueError('RATE_LIMITED', message, { details: { retryAfter: wait } })
  }

  async function handle(job: Job, ctx: RunContext): Promise<unknown> {
    const { payload: raw, admitted, ...event } = job.data as FireData
    const trigger = await running.find(event.trigger)
    if (trigger?.removed || (!trigger && (await running.isRemoved(event.trigger)))) return undefined
    // Another instance may have it, or this instance may have it after a deploy.
    if (!trigger) throw new QueueError('TRIGGER_UNKNOWN', `There is no trigger "${event.trigger}" in this instance.`)
    if (trigger.paused) {
      await history.refused(event, raw, { reason: PAUSED, message: pausedText(trigger.name) })
      return undefined
    }
    const { rateLimit } = trigger.options
    if (rateLimit && !admitted && job.attempt === 1) {
      const wait = await kernel.port('limits').take(bucketOf(trigger.name), rateOf(rateLimit), job.id)
      if (wait > 0) return ctx.defer({ delay: wait })
    }
    const last = isLast(job)
    const shaped = await shape(trigger, raw, event).catch(async (error: unknown) => {
      if (!isFinalRefusal(error) && !last) throw error
      await history.refused(event, raw, refusalOf(error))
      if (!isFinalRefusal(error)) throw error
      return undefined
    })
    if (!shaped) return undefined
    if (!shaped.passes) {
      await history.refused(event, raw, { reason: 'FILTERED', message: 'The filter of the trigger returned false.' })
      return undefined
    }
    return startAll(trigger, shaped.payload, raw, event, job)
  }

  async function shape({ name, options }: Trigger, raw: unknown, event: TriggerEvent) {
    const { input, filter, transform } = options
    const payload: unknown = input ? await parse(input, raw, `payload of trigger "${name}"`) : raw
    if (filter && !(await filter(payload, event))) return { passes: false, payload }
    return { passes: true, payload: transform ? await transform(payload, event) : payload }
  }

  /** Starts all targets. If one fails, the others still start. The retry of the job does not start them twice. */
  async function startAll(trigger: Trigger, payload: unknown, raw: unknown, event: TriggerEvent, job: Job) {
    const started: TriggerStart[] = []
    const failures: unknown[] = []
    for (const subscription of registry.subscriptionsOf(trigger)) {
      try {
        started.push({ subscription: subscription.id, ...(await start(subscription, payload, event, job)) })
      } catch (error) {
        started.push({ subscription: subscription.id, ...refusalOf(error) })
        if (!isFinalRefusal(error)) failures.push(error)
      }
    }
    if (failures.length === 0 || isLast(job)) await history.fired(event, raw, started)
    if (failures.length > 0) throw failures[0]
    return { started }
  }

  async function start(subscription: NamedSubscription, payload: unknown, event: TriggerEvent, { headers }: Job) {
    const { filter, transform, flow, entry, worker } = subscription
    if (filter && !(await filter(payload, event))) {
      return { reason: 'FILTERED', message: 'The filter of the subscription returned false.' }
    }
    const input: unknown = transform ? await transform(payload, event) : payload
    const id = startId(event, subscription)
    const started =
      flow === undefined
        ? kernel.enqueue(worker!, input, { once: id, headers })
        : kernel.flow(flow).start(input, { id, entry, headers })
    const { queue, runId, id: jobId } = await started
    return { queue, runId, jobId }
  }

  return { store, fire, handle }
}
export type Firing = ReturnType<typeof createFiring>

const isLast = ({ attempt, attempts }: Job): boolean => attempt >= attempts

/** Returns the id of a started target. It is a hash, because event ids come from outside and may contain anything. */
function startId({ trigger, id }: TriggerEvent, subscription: NamedSubscription): string {
  const facts = JSON.stringify([trigger, subscription.id, id])
  return `trigger-${createHash('sha256').update(facts).digest('hex').slice(0, 32)}`
}

function pausedText(name: string): string {
  return `Trigger "${name}" is paused.`
}

function bucketOf(name: string): string {
  return `trigger/${name}`
}
