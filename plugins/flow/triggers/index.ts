import { z } from 'zod'
import {
  checkCount,
  definePlugin,
  isQueueError,
  type EnqueuedJob,
  type WorkerDefinition,
} from '../../../kernel/index.ts'
import { checkOptions } from '../../lib/check-options.ts'
import { createSharedDecisions } from '../../lib/shared-decisions.ts'
import { createTriggerRegistry, type Trigger, type TriggerInfo } from './trigger-registry.ts'
import { checkDefinition } from './definition.ts'
import type {
  ConfiguredTrigger,
  SavedTrigger,
  TriggerDefinition,
  TriggerOptions,
  TriggerSubscription,
} from './definition.ts'
import { createFiring, FIRE, TRIGGER_QUEUE, type FireData, type FireOptions } from './fire.ts'
import { createHistory, type TriggerRecord } from './history.ts'
import { createTriggerOperations, type TriggerDetails } from './operate.ts'
import { createRunningTriggers } from './running.ts'
import { createWebhookHandler, ROUTE } from './webhook.ts'

export type {
  SavedTrigger,
  TriggerDefinition,
  TriggerEvent,
  TriggerOptions,
  TriggerSubscription,
  WebhookFacts,
} from './definition.ts'
export type { TriggerRecord } from './history.ts'
export type { TriggerDetails } from './operate.ts'
export type { TriggerInfo } from './trigger-registry.ts'
export type { Verify } from './verify-options.ts'

/** A trigger in the config of the worker that it starts, or of the entry of the flow that it starts. */
export type WorkerTrigger = TriggerOptions & {
  /** Default: the worker's id. Further triggers of the worker add `.1`, `.2`, … */
  name?: string
}

declare module 'nuxt-queue/kernel' {
  interface WorkerConfig {
    /** Starts the worker, or the flow whose entry it is: `{ type: 'event', event: 'order.created' }`, or a list of triggers. */
    trigger?: WorkerTrigger | readonly WorkerTrigger[]
  }
  interface Kernel {
    /**
     * Adds a trigger to this instance until it stops. If several instances run, call it in all of them, because any of
     * them may handle an event.
     *
     * @throws QueueError `TRIGGER_INVALID`, `SCHEDULE_INVALID`
     * @example
     * await kernel.registerTrigger({ name: 'orders', type: 'event', event: 'order.created', flow: 'fulfil' })
     */
    registerTrigger(definition: TriggerDefinition): Promise<void>
    /** Removes a registered trigger and its subscriptions from this instance. Returns false when it does not exist. */
    unregisterTrigger(name: string): boolean
    /**
     * Lets a trigger start another flow or worker, in this instance until it stops.
     *
     * @throws QueueError `TRIGGER_UNKNOWN`, `TRIGGER_INVALID`
     */
    subscribeTrigger(name: string, subscription: TriggerSubscription): void
    /**
     * Fires a trigger of any type manually, with one durable write. Once the promise resolves, every target starts once,
     * even if this process dies.
     *
     * @param options.id firing the same id twice fires once, as long as the queue remembers the first; default: a new id
     * @param options.key the subject of the event, for filters and transforms
     * @param options.headers text that travels with the event to the jobs that it starts
     * @throws QueueError `TRIGGER_UNKNOWN`, `TRIGGER_PAUSED`, `VALIDATION_FAILED`, `RATE_LIMITED`, `OPTION_INVALID`,
     * `VALUE_UNSUPPORTED`, `PAYLOAD_TOO_LARGE`
     */
    emitTrigger(name: string, payload?: unknown, options?: FireOptions): Promise<EnqueuedJob>
    /**
     * Returns the events of a trigger, and the requests that its webhook refused, newest first. The newest 1000 events and the
     * newest 100 refusals are kept.
     *
     * @param options.limit default 100
     * @throws QueueError `TRIGGER_UNKNOWN`, `OPTION_INVALID`
     */
    triggerHistory(name: string, options?: { limit?: number }): Promise<TriggerRecord[]>
    /** Returns the triggers of this instance. */
    triggers(): TriggerInfo[]
    /**
     * Returns the triggers that run: the triggers of this instance, and the triggers that operators have saved for all instances.
     * The list includes triggers of this instance that operators have removed, with `removed`.
     */
    triggerDetails(): Promise<TriggerDetails[]>
    /**
     * Creates a trigger for all instances, or replaces the saved trigger with this name. It is kept in the event store and takes effect
     * with the next event.
     *
     * A webhook names the environment variable that has its secret. Each process reads it there.
     *
     * @throws QueueError `TRIGGER_INVALID`, also for a name that this instance declares, a path that another webhook has, or a
     * variable that this process does not have; `NAME_RESERVED`
     * @example
     * await kernel.saveTrigger('refunds', { type: 'event', event: 'order.refunded', worker: 'refund' })
     */
    saveTrigger(name: string, trigger: SavedTrigger): Promise<void>
    /**
     * Removes a trigger in all instances, even if code declares it. `resumeTrigger` restores a trigger that code declares.
     *
     * @throws QueueError `TRIGGER_UNKNOWN`
     */
    removeTrigger(name: string): Promise<void>
    /**
     * Pauses a trigger in all instances. Its events then start nothing, and its history contains them as refused. Senders of webhooks
     * receive 503, so that they try again.
     *
     * @throws QueueError `TRIGGER_UNKNOWN`
     */
    pauseTrigger(name: string): Promise<void>
    /** Undoes `pauseTrigger`. Events in between are not caught up. @throws QueueError `TRIGGER_UNKNOWN` */
    resumeTrigger(name: string): Promise<void>
  }
}

/** Starts flows and workers from events, webhooks, schedules and manual calls. */
export default definePlugin({
  name: 'triggers',
  requires: ['queue', 'events', 'limits', 'bus', 'webhooks', 'flow', 'schedule'],
  workerOptions: { trigger: checkOwn },
  /** Triggers by name. */
  options: z.record(
    z.string(),
    z.custom<ConfiguredTrigger>((value) => typeof value === 'object' && value !== null),
  ),
  async setup(kernel, configured) {
    const registry = createTriggerRegistry(kernel)
    const history = createHistory(kernel, async () => (await running.all()).map(({ name }) => name))
    const shared = createSharedDecisions<SavedTrigger>(kernel, 'trigger')
    const running = createRunningTriggers(registry, shared)
    const firing = createFiring(kernel, registry, running, history)
    /** The names of triggers with a schedule, by worker id. */
    const scheduled = new Map<string, string[]>()

    for (const [name, options] of Object.entries(configured)) registry.add({ ...options, name })

    await kernel.registerWorker({
      id: FIRE,
      config: {
        queue: TRIGGER_QUEUE,
        concurrency: 10,
        attempts: 20,
        backoff: { type: 'exponential', delay: 500, maxDelay: 60_000 },
      },
      handler: (job, ctx) => firing.handle(job, ctx),
    })

    kernel.onEvent(async ({ id, name, key, payload, headers, at }) => {
      for (const { name: trigger } of await running.of(name)) {
        await firing.store({ trigger, id, key, at, payload, admitted: false }, headers)
      }
    })
    kernel.webhooks.route(ROUTE, createWebhookHandler(kernel, running, firing, history))

    async function schedule({ name, options }: Trigger): Promise<void> {
      if (options.type !== 'schedule') return
      const { cron, timeZone, every, anchor, at, jitter, catchUp, data: payload } = options
      const data = (moment: Date): FireData => ({
        trigger: name,
        id: String(moment.getTime()),
        key: '',
        at: moment.getTime(),
        payload: typeof payload === 'function' ? payload(moment) : payload,
        admitted: false,
      })
      const timing = { cron, timeZone, every, anchor, at, jitter, catchUp }
      await kernel.schedule(scheduleOf(name), { ...timing, worker: FIRE, data })
    }

    async function scheduleOwn(worker: WorkerDefinition): Promise<void> {
      registry.assertUnique()
      const triggers = registry.ofWorker(worker)
      const names = triggers.map(({ name }) => name)
      for (const name of scheduled.get(worker.id) ?? []) if (!names.includes(name)) kernel.unschedule(scheduleOf(name))
      scheduled.set(worker.id, names)
      for (const trigger of triggers) await schedule(trigger)
    }

    kernel.onWorkerStart(async (worker) => {
      if (worker.id !== FIRE) return scheduleOwn(worker)
      for (const name of Object.keys(configured)) await schedule(registry.get(name))
    })

    kernel.onWorkerStop(({ id }) => {
      for (const name of scheduled.get(id) ?? []) kernel.unschedule(scheduleOf(name))
      scheduled.delete(id)
    })

    function infoOf(trigger: Trigger): TriggerInfo {
      const { name, options } = trigger
      const subscriptions = registry
        .subscriptionsOf(trigger)
        .map(({ id, flow, entry, worker }) => ({ id, flow, entry, worker }))
      const info: TriggerInfo = { name, type: options.type, subscriptions }
      if (options.type === 'event') info.event = options.event
      if (options.type !== 'webhook') return info
      return { ...info, path: options.path, url: urlOf(options.path) }
    }

    function urlOf(path: string): string | undefined {
      try {
        return kernel.webhooks.url(ROUTE + path)
      } catch (error) {
        if (isQueueError(error, 'CONFIG_INVALID')) return undefined
        throw error
      }
    }

    kernel.extend({
      async registerTrigger(definition) {
        const trigger = registry.add(definition)
        await schedule(trigger).catch((error: unknown) => {
          registry.remove(trigger.name)
          throw error
        })
      },
      unregisterTrigger(name) {
        const trigger = registry.remove(name)
        if (trigger?.options.type === 'schedule') kernel.unschedule(scheduleOf(name))
        return trigger !== undefined
      },
      subscribeTrigger: (name, subscription) => registry.subscribe(name, subscription),
      emitTrigger: async (name, payload, options = {}) => firing.fire(name, payload, options),
      async triggerHistory(name, options = {}) {
        const { limit = 100 } = checkOptions('triggerHistory()', options, { limit: checkCount })
        if (!(await running.find(name))) await running.get(name)
        return history.read(name, limit)
      },
      triggers: () => registry.all().map(infoOf),
      ...createTriggerOperations(registry, running, shared, history, infoOf),
    })
  },
})

/** @throws QueueError `TRIGGER_INVALID` */
function checkOwn(value: unknown, { id }: WorkerDefinition): void {
  for (const trigger of [value as WorkerTrigger].flat()) checkDefinition({ name: id, ...trigger, worker: id })
}

function scheduleOf(trigger: string): string {
  return `trigger:${trigger}`
}
