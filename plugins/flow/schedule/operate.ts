import {
  assertFree,
  checkCount,
  checkMoment,
  checkText,
  fitText,
  QueueError,
  type PluginKernel,
} from '../../../kernel/index.ts'
import { TICK_WORKER, type TickData } from '../lib/schedule-tick.ts'
import { momentsOf } from './moments.ts'
import { checkSchedule, type Schedule, type ScheduleInfo } from './schedule.ts'
import type { Decision, SharedSchedules } from './shared.ts'
import type { Entry, Ticks } from './ticks.ts'

/** A schedule as all instances run it. Moments are in milliseconds since the epoch. */
export interface ScheduleDetails extends ScheduleInfo {
  /** `shared` if operators have saved it for all instances, `code` if this instance declares it. */
  source: 'code' | 'shared'
  paused: boolean
  /** The next five moments, with their jitter. */
  upcoming: number[]
  /** What the newest five moments have started, the newest first. Moments whose job is no longer kept are left out. */
  recent: ScheduleOutcome[]
}

export interface ScheduleOutcome {
  at: number
  /** The state of the job, or of the run for a flow. */
  status: string
  runId: string
  jobId?: string
}

export interface Backfill {
  /** The first moment of the range. */
  from: number | Date
  /** The end of the range, which does not belong to it. Default: now. */
  to?: number | Date
  /** The largest number of moments, the oldest first. Default 1000. */
  limit?: number
}

const SHOWN = 5
const DEFAULT_LIMIT = 1000

/** Creates what operators do with schedules, for all instances. */
export function createScheduleOperations(kernel: PluginKernel, ticks: Ticks, shared: SharedSchedules) {
  async function find(name: string): Promise<Entry> {
    const entry = (await ticks.all()).get(checkText('The name of a schedule', name))
    if (entry) return entry
    throw new QueueError('SCHEDULE_UNKNOWN', `There is no schedule "${name}" here. List them with scheduleDetails().`)
  }

  function upcomingOf(entry: Entry): number[] {
    const found: number[] = []
    for (let after: number | undefined = kernel.clock.now(); after !== undefined && found.length < SHOWN;) {
      const tick = ticks.nextOf(entry, after)
      if (tick !== undefined) found.push(tick)
      after = entry.moments.next(after)
    }
    return found
  }

  /** The ids of jobs and runs derive from the moment, so that they can be looked up. */
  async function outcomeOf({ name, schedule }: Entry, at: number): Promise<ScheduleOutcome | undefined> {
    const id = fitText(`${name}.${at}`)
    if (schedule.flow !== undefined) {
      const run = await kernel.port('events').runs.get(id)
      return run && { at, status: run.status, runId: id, jobId: run.jobId }
    }
    const queue = kernel.registry.get(schedule.worker!)?.queue.name
    const job = queue === undefined ? undefined : await kernel.port('queue').getJob(queue, id)
    return job && { at, status: job.state, runId: job.runId, jobId: id }
  }

  async function recentOf(entry: Entry): Promise<ScheduleOutcome[]> {
    const moments: number[] = []
    for (let at = entry.moments.last(kernel.clock.now()); at !== undefined && moments.length < SHOWN;) {
      moments.push(at)
      at = entry.moments.last(at - 1)
    }
    const outcomes = await Promise.all(moments.map((at) => outcomeOf(entry, at)))
    return outcomes.filter((outcome) => outcome !== undefined)
  }

  async function detailsOf(entry: Entry): Promise<ScheduleDetails> {
    const { name, schedule, paused, shared: isShared } = entry
    const upcoming = upcomingOf(entry)
    return {
      ...{ ...schedule, name, source: isShared ? 'shared' : 'code', paused, upcoming },
      ...(upcoming.length > 0 && { next: upcoming[0]! }),
      recent: await recentOf(entry),
    }
  }

  async function decide(decision: Decision): Promise<void> {
    await shared.decide(decision)
    await ticks.scheduleAll()
  }

  /** A job starts the target, because another instance may have its worker. */
  async function startAt(entry: Entry, moments: readonly number[], idAt: (at: number) => string): Promise<void> {
    await kernel.enqueueMany(
      moments.map((at) => {
        const start = idAt(at)
        const data: TickData = { name: entry.name, at, due: kernel.clock.now(), missed: 0, start }
        return { worker: TICK_WORKER, data, options: { id: fitText(`start.${start}.${kernel.newId()}`) } }
      }),
    )
  }

  return {
    async scheduleDetails(): Promise<ScheduleDetails[]> {
      return Promise.all([...(await ticks.all()).values()].map(detailsOf))
    },
    async saveSchedule(name: string, schedule: Schedule): Promise<void> {
      checkText('The name of a schedule', name)
      checkSchedule(name, schedule)
      momentsOf(name, schedule)
      if (schedule.worker !== undefined) assertFree('queue', schedule.worker)
      await decide({ type: '_schedule.saved', data: { name, schedule } })
    },
    async removeSchedule(name: string): Promise<void> {
      await find(name)
      await decide({ type: '_schedule.removed', data: { name } })
    },
    async pauseSchedule(name: string): Promise<void> {
      await find(name)
      await decide({ type: '_schedule.paused', data: { name } })
    },
    async resumeSchedule(name: string): Promise<void> {
      if (!(await shared.current())[checkText('The name of a schedule', name)]?.removed) await find(name)
      await decide({ type: '_schedule.resumed', data: { name } })
    },
    async runSchedule(name: string): Promise<{ at: number }> {
      const at = kernel.clock.now()
      await startAt(await find(name), [at], () => fitText(`${name}.run.${kernel.newId()}`))
      return { at }
    },
    async backfillSchedule(
      name: string,
      { from, to, limit = DEFAULT_LIMIT }: Backfill,
    ): Promise<{ moments: number[] }> {
      const entry = await find(name)
      const start = checkMoment('Option "from" of backfillSchedule()', from)
      const end = Math.min(
        to === undefined ? Infinity : checkMoment('Option "to" of backfillSchedule()', to),
        kernel.clock.now(),
      )
      checkCount('Option "limit" of backfillSchedule()', limit)
      const moments: number[] = []
      for (let at = entry.moments.next(start - 1); at !== undefined && at < end && moments.length < limit;) {
        moments.push(at)
        at = entry.moments.next(at)
      }
      if (moments.length > 0) await startAt(entry, moments, (at) => fitText(`${name}.${at}`))
      return { moments }
    },
  }
}
export type ScheduleOperations = ReturnType<typeof createScheduleOperations>
