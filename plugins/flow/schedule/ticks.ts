import { fitText, type Deferral, type Job, type PluginKernel, type RunContext } from '../../../kernel/index.ts'
import type { CronMoments } from '../lib/cron.ts'
import { TICK_WORKER, type TickData } from '../lib/schedule-tick.ts'
import type { SharedDecisions } from '../../lib/shared-decisions.ts'
import { formOf, jitterOf, momentsOf } from './moments.ts'
import { checkSchedule, type Schedule, type ScheduleInfo } from './schedule.ts'
import { createStarter } from './target.ts'

export interface ScheduleEntry {
  name: string
  schedule: Schedule
  moments: CronMoments
  form: string
  paused: boolean
  /** True if operators have saved it for all instances, false if code declares it. */
  shared: boolean
}

/** How many missed moments `catchUp: 'all'` starts one by one. */
const MAX_CATCH_UP = 100
/** How many milliseconds late a tick may be with `catchUp: false`. */
const MAX_LATENESS = 60_000
/** Milliseconds that a tick waits for an instance that has its schedule with the same timing. */
const UNKNOWN_TIMEOUT = 10 * 60_000

/** Holds the schedules of this instance and runs their ticks. Each tick schedules the next one. */
export function createTicks(kernel: PluginKernel, shared: SharedDecisions<Schedule>) {
  const declared = new Map<string, ScheduleEntry>()
  const starter = createStarter(kernel, async () => [...declared.keys(), ...(await shared.current()).keys()])

  /** Returns the schedules of this instance that run, because operators have neither replaced nor removed them. */
  async function all(): Promise<Map<string, ScheduleEntry>> {
    const decisions = await shared.current()
    const entries = new Map(declared)
    for (const [name, { saved, removed, paused }] of decisions) {
      if (removed) entries.delete(name)
      else if (saved) entries.set(name, { ...entryOf(name, saved), paused, shared: true })
      else if (entries.has(name)) entries.set(name, { ...entries.get(name)!, paused })
    }
    return entries
  }

  /** Schedules the next tick. Several instances may do so; the id makes them schedule the same tick. */
  async function scheduleNext(entry: ScheduleEntry, after: number, missed = 0): Promise<void> {
    const { name, schedule, moments, form } = entry
    const at = moments.next(after)
    if (at === undefined) return
    const due = at + jitterOf(name, at, schedule.jitter ?? 0)
    const data: TickData = { name, at, due, missed }
    await kernel.enqueue(TICK_WORKER, data, { id: idOf(name, form, at), delay: new Date(due) })
  }

  async function runTick(entry: ScheduleEntry, { at, due, missed }: TickData): Promise<void> {
    const { name, schedule, moments, paused } = entry
    const { jitter = 0, catchUp = 'last' } = schedule
    const now = kernel.clock.now()
    const passed = now - jitter
    // A moment that passes during a pause is not caught up.
    const oneByOne = catchUp === 'all' && missed < MAX_CATCH_UP && !paused
    const moment = oneByOne ? at : Math.max(at, moments.last(passed) ?? at)
    try {
      const isInTime = catchUp !== false || now - due <= MAX_LATENESS
      if (isInTime && !paused) await starter.start(name, schedule, moment)
    } finally {
      // Also after a failed start, because the schedule would otherwise end.
      const behind = (moments.next(moment) ?? Infinity) <= passed
      await scheduleNext(entry, moment, behind ? missed + 1 : 0)
    }
  }

  /** Defers a tick that this instance does not know. An older or newer instance, or an instance with other workers, may know it. */
  function deferUnknown({ due }: TickData, ctx: RunContext): Deferral | undefined {
    if (kernel.clock.now() - due > UNKNOWN_TIMEOUT) return undefined
    return ctx.defer({ delay: 25 * ctx.claim })
  }

  return {
    all,
    /** Returns a schedule as code declares it, regardless of the decisions of operators. */
    declared: (name: string): ScheduleEntry | undefined => declared.get(name),
    async handle(job: Job, ctx: RunContext): Promise<unknown> {
      const data = job.data as TickData
      const entry = (await all()).get(data.name)
      if (entry && data.start !== undefined) return starter.begin(entry.schedule, data.start, data.at)
      if (entry && idOf(entry.name, entry.form, data.at) === job.id) return runTick(entry, data)
      // Decisions of operators apply to all instances, so no other instance knows the tick either.
      const isDecided = entry?.shared === true || (await shared.current()).get(data.name)?.removed === true
      return isDecided ? undefined : deferUnknown(data, ctx)
    },
    async add(name: string, schedule: Schedule): Promise<void> {
      checkSchedule(name, schedule)
      declared.set(name, entryOf(name, schedule))
      const entry = (await all()).get(name)
      if (entry) await scheduleNext(entry, kernel.clock.now())
    },
    remove: (name: string): boolean => declared.delete(name),
    /** Schedules the next tick of each schedule again, in case it was removed. Returns the number of schedules. */
    async scheduleAll(): Promise<number> {
      const entries = await all()
      for (const entry of entries.values()) await scheduleNext(entry, kernel.clock.now())
      return entries.size
    },
    list: (): ScheduleInfo[] =>
      [...declared.values()].map((entry) => ({ ...entry.schedule, name: entry.name, next: nextOf(entry) })),
    nextOf,
  }

  /** Returns the next tick after a moment. */
  function nextOf({ name, schedule, moments }: ScheduleEntry, after: number = kernel.clock.now()): number | undefined {
    const next = moments.next(after)
    return next && next + jitterOf(name, next, schedule.jitter ?? 0)
  }
}
export type Ticks = ReturnType<typeof createTicks>

function entryOf(name: string, schedule: Schedule): ScheduleEntry {
  const facts = { moments: momentsOf(name, schedule), form: formOf(schedule) }
  return { name, schedule, ...facts, paused: false, shared: false }
}

function idOf(name: string, form: string, at: number): string {
  return fitText(`${name}.${form}.${at}`)
}
