import { z } from 'zod'
import { definePlugin } from '../../kernel/index.ts'
import { nextTick, SCHEDULE_QUEUE, scheduleId, TICK_WORKER, type Schedule, type TickData } from './schedule.ts'

export type { Schedule } from './schedule.ts'

/** A cron schedule of a worker. */
export type ScheduleOption = Pick<Schedule, 'cron' | 'timeZone' | 'data'>

declare module 'nuxt-queue/kernel' {
  interface WorkerConfig {
    /** Enqueues the worker by a cron expression: `{ cron: '0 3 * * *', timeZone: 'Europe/Berlin' }`, or several. */
    schedule?: ScheduleOption | readonly ScheduleOption[]
  }
  interface Kernel {
    /**
     * Enqueues a worker by a cron expression, once for each tick however many instances there are.
     * Scheduling a name again changes it.
     *
     * @throws QueueError `SCHEDULE_INVALID`
     */
    schedule(name: string, schedule: Schedule): Promise<void>
    /** Stops a schedule in this instance; a tick that is queued already does nothing. */
    unschedule(name: string): void
  }
}

const scheduleShape = z.strictObject({
  cron: z.string(),
  worker: z.string(),
  timeZone: z.string().optional(),
  data: z.unknown().optional(),
})

/**
 * Cron on delayed jobs: each tick is a job that enqueues its worker and the next tick before it is
 * acknowledged. Ids derive from the schedule and its moment, so instances do not get in each other's
 * way, and every start sows the next tick again.
 */
export default definePlugin({
  name: 'schedule',
  requires: ['queue'],
  configKey: 'schedules',
  /** Schedules by name. */
  options: z.record(z.string(), scheduleShape),
  async setup(kernel, configured) {
    const schedules = new Map<string, Schedule>()

    async function sow(name: string, schedule: Schedule): Promise<void> {
      const at = nextTick(name, schedule, kernel.clock.now())
      if (at === undefined) return
      const id = scheduleId(name, schedule, at)
      const data: TickData = { name, at }
      await kernel.enqueue(TICK_WORKER, data, { id, delay: new Date(at), attempts: 10, backoff: 1000 })
    }

    await kernel.registerWorker({
      id: TICK_WORKER,
      config: { queue: SCHEDULE_QUEUE },
      async handler({ data, id }) {
        const { name, at } = data as TickData
        const schedule = schedules.get(name)
        if (!schedule || scheduleId(name, schedule, at) !== id) return
        await kernel.enqueue(schedule.worker, schedule.data, { id: `${name}.${at}` })
        await sow(name, schedule)
      },
    })

    async function add(name: string, schedule: Schedule): Promise<void> {
      nextTick(name, schedule, kernel.clock.now())
      schedules.set(name, schedule)
      await sow(name, schedule)
    }

    kernel.extend({ schedule: add, unschedule: (name: string) => void schedules.delete(name) })
    kernel.onWorkerStart(async ({ id, worker }) => {
      const own = worker.schedule === undefined ? [] : [worker.schedule].flat()
      for (const [index, option] of own.entries())
        await add(index === 0 ? id : `${id}.${index}`, { ...option, worker: id })
      for (const [name, schedule] of Object.entries(configured)) {
        if (schedule.worker === id) await add(name, schedule)
      }
    })
  },
})
