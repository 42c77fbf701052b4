import { z } from 'zod'
import { definePlugin, QueueError, type WorkerDefinition } from '../../../kernel/index.ts'
import { placesOf, startOf } from '../lib/flow-places.ts'
import { SCHEDULE_QUEUE, TICK_WORKER } from '../lib/schedule-tick.ts'
import { createSharedDecisions } from '../../lib/shared-decisions.ts'
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
import { createScheduleOperations, type Backfill, type ScheduleDetails } from './operate.ts'
import { createTicks } from './ticks.ts'

export type { Backfill, ScheduleDetails, ScheduleOutcome } from './operate.ts'
export type { Schedule, ScheduleInfo, ScheduleOption, Timing } from './schedule.ts'

declare module 'nuxt-queue/kernel' {
  interface WorkerConfig {
    /**
     * Enqueues the worker by time, or starts the flow whose entry it is: `{ cron: '0 3 * * *',
     * timeZone: 'Europe/Berlin' }`, `{ every: 60_000 }`, `{ at: '2026-12-24T18:00:00Z' }`, or a list of these.
     */
    schedule?: ScheduleOption | readonly ScheduleOption[]
  }
  interface Kernel {
    /**
     * Starts a worker or a flow by time, once for each moment regardless of the number of instances.
     * A second call with the same name replaces the schedule. The schedule exists in this instance until
     * it stops, so declare it in every instance, at each start.
     *
     * @throws QueueError `SCHEDULE_INVALID`
     * @example
     * await kernel.schedule('report', { cron: '0 8 * * 1', timeZone: 'Europe/Berlin', flow: 'report' })
     */
    schedule(name: string, schedule: Schedule): Promise<void>
    /**
     * Removes a schedule from this instance. Returns false when it does not exist. A tick that is queued
     * already starts nothing here, and ends if no other instance has the schedule. A schedule that a worker or the configuration declares
     * is added again at the next start.
     */
    unschedule(name: string): boolean
    /** Returns the schedules that this instance declares. */
    schedules(): ScheduleInfo[]
    /**
     * Returns the schedules that run: the schedules of this instance, and the schedules that operators have saved for all instances.
     * Schedules of this instance that operators have removed follow, with `removed`.
     */
    scheduleDetails(): Promise<ScheduleDetails[]>
    /**
     * Creates a schedule for all instances, or replaces the schedule with this name, even if code declares it. The schedule is kept in the
     * event store and takes effect at its next moment. `data` must be a value, not a function.
     *
     * @throws QueueError `SCHEDULE_INVALID`, `NAME_RESERVED`
     * @example
     * await kernel.saveSchedule('report', { cron: '0 8 * * 1', timeZone: 'Europe/Berlin', worker: 'report' })
     */
    saveSchedule(name: string, schedule: Schedule): Promise<void>
    /**
     * Removes a schedule in all instances, even if code declares it. `resumeSchedule` restores a schedule that code declares.
     *
     * @throws QueueError `SCHEDULE_UNKNOWN`
     */
    removeSchedule(name: string): Promise<void>
    /** Pauses a schedule in all instances. Its moments then start nothing. @throws QueueError `SCHEDULE_UNKNOWN` */
    pauseSchedule(name: string): Promise<void>
    /** Undoes `pauseSchedule`. The moments in between are not caught up. @throws QueueError `SCHEDULE_UNKNOWN` */
    resumeSchedule(name: string): Promise<void>
    /** Starts the target of a schedule now, even while the schedule is paused. @throws QueueError `SCHEDULE_UNKNOWN` */
    runSchedule(name: string): Promise<{ at: number }>
    /**
     * Starts the target once for each moment in a range of the past. A moment that has already started its target starts nothing while its
     * id is known.
     *
     * @throws QueueError `SCHEDULE_UNKNOWN`, `OPTION_INVALID`
     * @example
     * await kernel.backfillSchedule('report', { from: new Date('2026-11-01T00:00:00Z') })
     */
    backfillSchedule(name: string, range: Backfill): Promise<{ moments: number[] }>
  }
}

/** Milliseconds after which the next ticks are scheduled again, in case one was removed. */
const RESCHEDULE_AFTER = 60_000

/**
 * Runs schedules on delayed jobs. Each tick is a job that starts the target, and schedules the next tick before
 * it completes. The id of a tick derives from the schedule and its moment, so all instances agree on it. Each
 * instance schedules the next tick again at its start and every minute.
 */
export default definePlugin({
  name: 'schedule',
  requires: ['queue', 'events', 'control', 'flow'],
  configKey: 'schedules',
  workerOptions: { schedule: checkOwn },
  /** Schedules by name. */
  options: z.record(z.string(), scheduleShape),
  async setup(kernel, configured) {
    const shared = createSharedDecisions<Schedule>(kernel, 'schedule')
    const ticks = createTicks(kernel, shared)
    /** The names of schedules in a worker's config, by worker id. */
    const owned = new Map<string, string[]>()
    const seen = new WeakSet<WorkerDefinition>()
    /** Resolves once all schedules are known. Earlier ticks wait for it. */
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
        if (Object.hasOwn(configured, name)) throw declaredTwice(name, id)
        await add(name, { ...option, ...target })
      }
    }

    async function addConfigured(worker: WorkerDefinition): Promise<void> {
      for (const [name, schedule] of Object.entries(configured)) {
        const wanted = schedule.flow === undefined ? schedule.worker === worker.id : isEntry(worker, schedule.flow)
        if (wanted) await add(name, schedule)
      }
    }

    /** Warns about unknown targets: another instance may have them, or the name may be misspelled. */
    function warnOfUnknownTargets(): void {
      const { workers } = kernel.registry
      for (const [name, { worker, flow }] of Object.entries(configured)) {
        const known = workers.some((one) => (flow === undefined ? one.id === worker : isEntry(one, flow)))
        const target = flow === undefined ? `worker "${worker}"` : `flow "${flow}"`
        if (!known) kernel.reporter.warn(`Schedule "${name}" is for ${target}, which this instance does not have.`)
      }
    }

    function watch(): void {
      stop = kernel.clock.setTimeout(() => {
        ticks.scheduleAll().catch((error: unknown) => {
          if (!closed)
            kernel.reporter.warn('The next ticks could not be scheduled. They are tried again in a minute.', error)
        })
        watch()
      }, RESCHEDULE_AFTER)
    }

    async function addOf(worker: WorkerDefinition): Promise<void> {
      if (seen.has(worker)) return
      seen.add(worker)
      await addOwn(worker)
      await addConfigured(worker)
    }

    /** Adds the schedules of all registered workers. A worker does not have to be started. */
    async function begin(): Promise<void> {
      started = true
      warnOfUnknownTargets()
      try {
        for (const worker of kernel.registry.workers) await addOf(worker)
        if ((await ticks.scheduleAll()) > 0 && !stop) watch()
      } finally {
        ready.resolve()
      }
    }

    const operations = createScheduleOperations(kernel, ticks, shared)
    kernel.extend({ schedule: add, unschedule: ticks.remove, schedules: ticks.list, ...operations })
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

function declaredTwice(name: string, worker: string): QueueError {
  const what = `Schedule "${name}" is declared both by worker "${worker}" and in the configuration.`
  const message = `${what} Rename the schedule in the configuration.`
  return new QueueError('SCHEDULE_INVALID', message)
}
