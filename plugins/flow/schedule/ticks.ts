import { fitText, type Deferral, type Job, type Kernel, type RunContext } from '../../../kernel/index.ts'
import type { CronMoments } from '../lib/cron.ts'
import { formOf, jitterOf, momentsOf } from './moments.ts'
import { checkSchedule, type Schedule, type ScheduleInfo } from './schedule.ts'
import { createStarter } from './target.ts'

/** Data of the job of a tick. Moments are in milliseconds since the epoch. */
interface TickData {
  name: string
  /** The moment of the schedule. */
  at: number
  /** The moment plus its jitter. */
  due: number
  /** How many moments in a row were missed before this one. */
  missed: number
}

interface Entry {
  name: string
  schedule: Schedule
  moments: CronMoments
  form: string
}

export const SCHEDULE_QUEUE = '_schedule'
export const TICK_WORKER = '_schedule/tick'

/** How many missed moments `catchUp: 'all'` starts one by one. */
const MAX_CATCH_UP = 100
/** How many milliseconds late a tick may be with `catchUp: false`. */
const MAX_LATENESS = 60_000
/** Milliseconds that a tick waits for an instance that has its schedule with the same timing. */
const UNKNOWN_TIMEOUT = 10 * 60_000

/** Holds the schedules of this instance and runs their ticks. Each tick schedules the next one. */
export function createTicks(kernel: Kernel) {
  const entries = new Map<string, Entry>()
  const start = createStarter(kernel)

  /** Schedules the next tick. Several instances may do so; the id makes them schedule the same tick. */
  async function scheduleNext(entry: Entry, after: number, missed = 0): Promise<void> {
    const { name, schedule, moments, form } = entry
    const at = moments.next(after)
    if (at === undefined) return
    const due = at + jitterOf(name, at, schedule.jitter ?? 0)
    const data: TickData = { name, at, due, missed }
    await kernel.enqueue(TICK_WORKER, data, { id: idOf(name, form, at), delay: new Date(due) })
  }

  async function runTick(entry: Entry, { at, due, missed }: TickData): Promise<void> {
    const { name, schedule, moments } = entry
    const { jitter = 0, catchUp = 'last' } = schedule
    const now = kernel.clock.now()
    const passed = now - jitter
    const oneByOne = catchUp === 'all' && missed < MAX_CATCH_UP
    const moment = oneByOne ? at : Math.max(at, moments.last(passed) ?? at)
    try {
      if (catchUp !== false || now - due <= MAX_LATENESS) await start(name, schedule, moment)
    } finally {
      // Also after a start that failed, because the schedule would end otherwise.
      const behind = (moments.next(moment) ?? Infinity) <= passed
      await scheduleNext(entry, moment, behind ? missed + 1 : 0)
    }
  }

  /** Defers a tick that this instance does not know. An older or newer instance, or one with other workers, may know it. */
  function deferUnknown({ due }: TickData, ctx: RunContext): Deferral | undefined {
    if (kernel.clock.now() - due > UNKNOWN_TIMEOUT) return undefined
    return ctx.defer({ delay: 25 * ctx.claim })
  }

  return {
    async handle(job: Job, ctx: RunContext): Promise<unknown> {
      const data = job.data as TickData
      const entry = entries.get(data.name)
      return entry && idOf(entry.name, entry.form, data.at) === job.id ? runTick(entry, data) : deferUnknown(data, ctx)
    },
    async add(name: string, schedule: Schedule): Promise<void> {
      checkSchedule(name, schedule)
      const entry = { name, schedule, moments: momentsOf(name, schedule), form: formOf(schedule) }
      entries.set(name, entry)
      await scheduleNext(entry, kernel.clock.now())
    },
    remove: (name: string): boolean => entries.delete(name),
    /** Schedules the next tick of each schedule again, in case somebody has removed it. */
    async scheduleAll(): Promise<void> {
      for (const entry of entries.values()) await scheduleNext(entry, kernel.clock.now())
    },
    list: (): ScheduleInfo[] =>
      [...entries.values()].map(({ name, schedule, moments }) => {
        const next = moments.next(kernel.clock.now())
        return { ...schedule, name, next: next && next + jitterOf(name, next, schedule.jitter ?? 0) }
      }),
  }
}

function idOf(name: string, form: string, at: number): string {
  return fitText(`${name}.${form}.${at}`)
}
