import { z } from 'zod'
import { definePlugin, isQueueError, type EnqueuedJob, type WorkerDefinition } from '../../../kernel/index.ts'
import { createTriggerRegistry, type Trigger } from './trigger-registry.ts'
import { checkDefinition } from './definition.ts'
import type { ConfiguredTrigger, TriggerDefinition, TriggerOptions, TriggerSubscription } from './definition.ts'
import { createFiring, FIRE, TRIGGER_QUEUE, type FireData } from './fire.ts'
import { createHistory, type TriggerRecord } from './history.ts'
import { createWebhookHandler, ROUTE } from './webhook.ts'

export type {
  TriggerDefinition,
  TriggerEvent,
  TriggerOptions,
  TriggerSubscription,
  WebhookFacts,
} from './definition.ts'
export type { TriggerRecord } from './history.ts'
export type { Verify } from './verify-options.ts'

/** A trigger in the config of the worker that it starts, or of the entry of the flow that it starts. */
export type WorkerTrigger = TriggerOptions & {
  /** Default: the worker's id. Further triggers of the worker add `.1`, `.2`, … */
  name?: string
}

export interface TriggerInfo {
  name: string
  type: TriggerOptions['type']
  event?: string
  path?: string
  /** The URL of its webhook. Absent unless `webhooks.baseUrl` is set. */
  url?: string
  subscriptions: { id: string; flow?: string; worker?: string }[]
}

declare module 'nuxt-queue/kernel' {
  interface WorkerConfig {
    /** Starts the worker, or the flow it is the entry of: `{ type: 'event', event: 'order.created' }`, or several. */
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
     * Fires a trigger of any type by hand, with one durable write. Once the promise resolves, every target starts once,
     * even if this process dies.
     *
     * @param options.id firing the same id twice fires once, as long as the queue remembers the first; default: a new id
     * @param options.key what the event is about, for filters and transforms
     * @throws QueueError `TRIGGER_UNKNOWN`, `VALIDATION_FAILED`, `RATE_LIMITED`, `OPTION_INVALID`,
     * `VALUE_UNSUPPORTED`, `PAYLOAD_TOO_LARGE`
     */
    emitTrigger(name: string, payload?: unknown, options?: { id?: string; key?: string }): Promise<EnqueuedJob>
    /** Returns the events of a trigger, newest first. The newest 1000 are kept. @param options.limit default 100 */
    triggerHistory(name: string, options?: { limit?: number }): Promise<TriggerRecord[]>
    /** Returns the triggers of this instance. */
    triggers(): TriggerInfo[]
  }
}

/** Starts flows and workers from events, webhooks, schedules, or by hand. */
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
    const history = createHistory(kernel)
    const firing = createFiring(kernel, registry, history)
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

    kernel.onEvent(async ({ id, name, key, payload, at }) => {
      for (const { name: trigger, options } of registry.all()) {
        if (options.type !== 'event' || options.event !== name) continue
        await firing.store({ trigger, id, key, at, payload, admitted: false })
      }
    })
    kernel.webhooks.route(ROUTE, createWebhookHandler(kernel, registry, firing))

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
      const subscriptions = registry.subscriptionsOf(trigger).map(({ id, flow, worker }) => ({ id, flow, worker }))
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
      emitTrigger: async (name, payload, options = {}) => firing.fire(registry.get(name), payload, options),
      async triggerHistory(name, { limit = 100 } = {}) {
        registry.get(name)
        return history.read(name, limit)
      },
      triggers: () => registry.all().map(infoOf),
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
