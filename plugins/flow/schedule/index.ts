import { z } from 'zod'
import { definePlugin, QueueError, type WorkerDefinition } from '../../../kernel/index.ts'
import { placesOf, startOf } from '../lib/flow-places.ts'
import { workerOption } from '../../lib/worker-option.ts'
import { momentsOf } from './moments.ts'
import {
  checkSchedule,
  ownShape,
  scheduleShape,
  type Schedule,
  type ScheduleInfo,
  type ScheduleOption,
} from './schedule.ts'
import { createTicks, SCHEDULE_QUEUE, TICK_WORKER } from './ticks.ts'

export type { Schedule, ScheduleInfo, ScheduleOption, Timing } from './schedule.ts'

declare module 'nuxt-queue/kernel' {
  interface WorkerConfig {
    /**
     * Enqueues the worker by time, or starts the flow it is the entry of: `{ cron: '0 3 * * *',
     * timeZone: 'Europe/Berlin' }`, `{ every: 60_000 }`, `{ at: '2026-12-24T18:00:00Z' }`, or several.
     */
    schedule?: ScheduleOption | readonly ScheduleOption[]
  }
  interface Kernel {
    /**
     * Starts a worker or a flow by time, once for each moment however many instances there are.
     * Scheduling a name again changes it. This instance keeps the schedule until it ends; declare
     * it in every one, at each start.
     *
     * @throws QueueError `SCHEDULE_INVALID`
     * @example
     * await kernel.schedule('report', { cron: '0 8 * * 1', timeZone: 'Europe/Berlin', flow: 'report' })
     */
    schedule(name: string, schedule: Schedule): Promise<void>
    /**
     * Forgets a schedule in this instance: false when there is none. A tick that is queued already
     * starts nothing here, and goes if no other instance wants it. One that a worker or the
     * configuration declares is back with the next start.
     */
    unschedule(name: string): boolean
    /** The schedules of this instance. */
    schedules(): ScheduleInfo[]
  }
}

/** Milliseconds between two looks whether the next ticks are still queued. */
const SOW_EVERY = 60_000

/**
 * Schedules on delayed jobs: each tick is a job that starts something and sows the next tick before it
 * is acknowledged. Ids derive from the schedule and its moment, so instances do not get in each
 * other's way; every start, and every minute, sows the next tick again.
 */
export default definePlugin({
  name: 'schedule',
  requires: ['queue', 'events', 'control', 'flow'],
  configKey: 'schedules',
  workerOptions: { schedule: checkOwn },
  /** Schedules by name. */
  options: z.record(z.string(), scheduleShape),
  async setup(kernel, configured) {
    const ticks = createTicks(kernel)
    /** The names that come from a worker's config, by the worker's id. */
    const owned = new Map<string, string[]>()
    const seen = new WeakSet<WorkerDefinition>()
    /** Ticks that come before their schedules are known wait for this. */
    const ready = Promise.withResolvers<void>()
    let started = false
    let closed = false
    let stop: (() => void) | undefined

    await kernel.registerWorker({
      id: TICK_WORKER,
      config: { queue: SCHEDULE_QUEUE, attempts: 10, backoff: 1000 },
      handler: (job, ctx) => ready.promise.then(() => ticks.handle(job, ctx)),
    })

    async function add(name: string, schedule: Schedule): Promise<void> {
      await ticks.add(name, schedule)
      if (started && !stop) watch()
    }

    async function addOwn(worker: WorkerDefinition): Promise<void> {
      const { id } = worker
      const { schedule = [] } = worker.worker
      const target = startOf(worker)
      const own = [schedule].flat().map((option, index) => ({ name: index === 0 ? id : `${id}.${index}`, option }))
      const names = own.map(({ name }) => name)
      for (const name of owned.get(id) ?? []) if (!names.includes(name)) ticks.remove(name)
      owned.set(id, names)
      for (const { name, option } of own) {
        if (Object.hasOwn(configured, name)) throw twice(name, id)
        await add(name, { ...option, ...target })
      }
    }

    async function addConfigured(worker: WorkerDefinition): Promise<void> {
      for (const [name, schedule] of Object.entries(configured)) {
        const wanted = schedule.flow === undefined ? schedule.worker === worker.id : isEntry(worker, schedule.flow)
        if (wanted) await add(name, schedule)
      }
    }

    /** Another instance may have its worker; or nobody, after a slip of the pen. */
    function warnOfStrangers(): void {
      const { workers } = kernel.registry
      for (const [name, { worker, flow }] of Object.entries(configured)) {
        const known = workers.some((one) => (flow === undefined ? one.id === worker : isEntry(one, flow)))
        const target = flow === undefined ? `worker "${worker}"` : `flow "${flow}"`
        if (!known) kernel.reporter.warn(`Schedule "${name}" is for ${target}, which this instance does not have.`)
      }
    }

    function watch(): void {
      stop = kernel.clock.setTimeout(() => {
        ticks.sowAll().catch((error: unknown) => {
          if (!closed) kernel.reporter.warn('The next ticks of schedules could not be sown; trying again.', error)
        })
        watch()
      }, SOW_EVERY)
    }

    async function addOf(worker: WorkerDefinition): Promise<void> {
      if (seen.has(worker)) return
      seen.add(worker)
      await addOwn(worker)
      await addConfigured(worker)
    }

    /** All that is registered by now: its worker need not have started for a tick to be made. */
    async function begin(): Promise<void> {
      started = true
      warnOfStrangers()
      try {
        for (const worker of kernel.registry.workers) await addOf(worker)
        if (ticks.list().length > 0 && !stop) watch()
      } finally {
        ready.resolve()
      }
    }

    kernel.extend({ schedule: add, unschedule: ticks.remove, schedules: ticks.list })
    kernel.onWorkerStart((worker) => (worker.id === TICK_WORKER ? begin() : addOf(worker)))
    kernel.onWorkerStop((worker) => {
      seen.delete(worker)
      for (const name of owned.get(worker.id) ?? []) ticks.remove(name)
      owned.delete(worker.id)
    })
    return () => {
      closed = true
      stop?.()
    }
  },
})

const checkShape = workerOption('schedule', ownShape, { code: 'SCHEDULE_INVALID', list: true })

/** @throws QueueError `SCHEDULE_INVALID` */
function checkOwn(value: unknown, worker: WorkerDefinition): void {
  void checkShape(value, worker)
  for (const option of [value as ScheduleOption].flat()) {
    checkSchedule(worker.id, { ...option, worker: worker.id })
    momentsOf(worker.id, option)
  }
}

function isEntry(worker: WorkerDefinition, name: string): boolean {
  return placesOf(worker).some((place) => place.role === 'entry' && place.name === name)
}

function twice(name: string, worker: string): QueueError {
  const message = `Schedule "${name}" is declared by worker "${worker}" and by the configuration. Rename the latter.`
  return new QueueError('SCHEDULE_INVALID', message)
}
