import { fitText, type Deferral, type Job, type Kernel, type RunContext } from '../../../kernel/index.ts'
import type { CronMoments } from '../lib/cron.ts'
import { formOf, jitterOf, momentsOf } from './moments.ts'
import { checkSchedule, type Schedule, type ScheduleInfo } from './schedule.ts'
import { createStarter } from './target.ts'

/** What a tick carries; moments in milliseconds since the epoch. */
interface TickData {
  name: string
  /** The moment it stands for. */
  at: number
  /** When it runs. */
  due: number
  /** How many moments in a row were missed before it. */
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

/** How many missed moments are made up for one by one. */
const MAKE_UP = 100
/** How late a tick may be, in milliseconds, that is not to be made up for. */
const LATE = 60_000
/** How long, in milliseconds, a tick waits for an instance that knows its schedule, in this form. */
const PATIENCE = 10 * 60_000

/** Schedules of this instance and the chain of their ticks, each of which sows the next one. */
export function createTicks(kernel: Kernel) {
  const entries = new Map<string, Entry>()
  const start = createStarter(kernel)

  /** Once for each moment and form, however many instances do it. */
  async function sow(entry: Entry, after: number, missed = 0): Promise<void> {
    const { name, schedule, moments, form } = entry
    const at = moments.next(after)
    if (at === undefined) return
    const due = at + jitterOf(name, at, schedule.jitter ?? 0)
    const data: TickData = { name, at, due, missed }
    await kernel.enqueue(TICK_WORKER, data, { id: idOf(name, form, at), delay: new Date(due) })
  }

  async function take(entry: Entry, { at, due, missed }: TickData): Promise<void> {
    const { name, schedule, moments } = entry
    const { jitter = 0, catchUp = 'last' } = schedule
    const now = kernel.clock.now()
    const passed = now - jitter
    const oneByOne = catchUp === 'all' && missed < MAKE_UP
    const moment = oneByOne ? at : Math.max(at, moments.last(passed) ?? at)
    try {
      if (catchUp !== false || now - due <= LATE) await start(name, schedule, moment)
    } finally {
      // Also behind a job that is refused, or the schedule would end with it.
      const behind = (moments.next(moment) ?? Infinity) <= passed
      await sow(entry, moment, behind ? missed + 1 : 0)
    }
  }

  /** Another instance may know it: one that is older, or newer, or has other workers. */
  function leave({ due }: TickData, ctx: RunContext): Deferral | undefined {
    if (kernel.clock.now() - due > PATIENCE) return undefined
    return ctx.defer({ delay: 25 * ctx.claim })
  }

  return {
    async handle(job: Job, ctx: RunContext): Promise<unknown> {
      const data = job.data as TickData
      const entry = entries.get(data.name)
      return entry && idOf(entry.name, entry.form, data.at) === job.id ? take(entry, data) : leave(data, ctx)
    },
    async add(name: string, schedule: Schedule): Promise<void> {
      checkSchedule(name, schedule)
      const entry = { name, schedule, moments: momentsOf(name, schedule), form: formOf(schedule) }
      entries.set(name, entry)
      await sow(entry, kernel.clock.now())
    },
    remove: (name: string): boolean => entries.delete(name),
    /** Sows the next tick of each again, in case somebody has taken it away. */
    async sowAll(): Promise<void> {
      for (const entry of entries.values()) await sow(entry, kernel.clock.now())
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
