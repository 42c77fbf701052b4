import {
  assertFree,
  checkCount,
  checkKeys,
  checkMoment,
  checkText,
  fitText,
  QueueError,
  type PluginKernel,
} from '../../../kernel/index.ts'
import { TICK_WORKER, type TickData } from '../lib/schedule-tick.ts'
import type { OperatorDecision, SharedDecision, SharedDecisions } from '../../lib/shared-decisions.ts'
import { momentsOf } from './moments.ts'
import { checkSchedule, type Schedule, type ScheduleInfo } from './schedule.ts'
import type { ScheduleEntry, Ticks } from './ticks.ts'

/** A schedule, as it applies to all instances. Moments are in milliseconds since the epoch. */
export interface ScheduleDetails extends ScheduleInfo {
  /** `shared` if operators have saved it for all instances, `code` if this instance declares it. */
  source: 'code' | 'shared'
  paused: boolean
  /** True if code declares it and operators have removed it in all instances. `resumeSchedule` restores it. */
  removed: boolean
  /** The next five moments, with their jitter. */
  upcoming: number[]
  /** The outcomes of the last five starts, scheduled or manual, newest first. Starts whose job is no longer kept are omitted. */
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
  /** The end of the range, exclusive. Default: now. */
  to?: number | Date
  /** The maximum number of moments, oldest first. Default 1000. */
  limit?: number
}

const PREVIEW_COUNT = 5
const DEFAULT_LIMIT = 1000

/** Creates the operations of operators on schedules, for all instances. */
export function createScheduleOperations(kernel: PluginKernel, ticks: Ticks, shared: SharedDecisions<Schedule>) {
  async function find(name: string): Promise<ScheduleEntry> {
    const entry = (await ticks.all()).get(checkText('The name of a schedule', name))
    if (entry) return entry
    throw new QueueError('SCHEDULE_UNKNOWN', `There is no schedule "${name}" here. List them with scheduleDetails().`)
  }

  function upcomingOf(entry: ScheduleEntry): number[] {
    const found: number[] = []
    for (let after: number | undefined = kernel.clock.now(); after !== undefined && found.length < PREVIEW_COUNT;) {
      const tick = ticks.nextOf(entry, after)
      if (tick !== undefined) found.push(tick)
      after = entry.moments.next(after)
    }
    return found
  }

  /** Returns the outcome of the start under an id. The id of a scheduled start derives from its moment, so it can be looked up. */
  async function outcomeOf({ schedule }: ScheduleEntry, at: number, id: string): Promise<ScheduleOutcome | undefined> {
    if (schedule.flow !== undefined) {
      const run = await kernel.port('events').runs.get(id)
      return run && { at, status: run.status, runId: id, jobId: run.jobId }
    }
    const queue = kernel.registry.get(schedule.worker!)?.queue.name
    const job = queue === undefined ? undefined : await kernel.port('queue').getJob(queue, id)
    return job && { at, status: job.state, runId: job.runId, jobId: id }
  }

  async function recentOf(
    entry: ScheduleEntry,
    byHand: SharedDecision<Schedule>['starts'] = [],
  ): Promise<ScheduleOutcome[]> {
    const starts = [...byHand]
    for (
      let at = entry.moments.last(kernel.clock.now());
      at !== undefined && starts.length < byHand.length + PREVIEW_COUNT;
    ) {
      starts.push({ at, id: fitText(`${entry.name}.${at}`) })
      at = entry.moments.last(at - 1)
    }
    const outcomes = await Promise.all(starts.map(({ at, id }) => outcomeOf(entry, at, id)))
    return outcomes
      .filter((outcome) => outcome !== undefined)
      .toSorted((a, b) => b.at - a.at)
      .slice(0, PREVIEW_COUNT)
  }

  async function detailsOf(entry: ScheduleEntry, decision?: SharedDecision<Schedule>): Promise<ScheduleDetails> {
    const { name, schedule, paused, shared: isShared } = entry
    const removed = decision?.removed ?? false
    const upcoming = removed ? [] : upcomingOf(entry)
    return {
      ...{ ...schedule, name, source: isShared ? 'shared' : 'code', paused, removed, upcoming },
      ...(upcoming.length > 0 && { next: upcoming[0]! }),
      recent: await recentOf(entry, decision?.starts),
    }
  }

  async function decide(name: string, decision: OperatorDecision<Schedule>): Promise<void> {
    await shared.decide(name, decision)
    await ticks.scheduleAll()
  }

  /** A job starts the target, because another instance may have its worker. */
  async function startAt(
    entry: ScheduleEntry,
    moments: readonly number[],
    idAt: (at: number) => string,
  ): Promise<void> {
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
      const running = await ticks.all()
      const decisions = await shared.current()
      const removed = [...decisions].flatMap(([name, one]) => (one.removed ? (ticks.declared(name) ?? []) : []))
      return Promise.all([...running.values(), ...removed].map((entry) => detailsOf(entry, decisions.get(entry.name))))
    },
    async saveSchedule(name: string, schedule: Schedule): Promise<void> {
      checkText('The name of a schedule', name)
      checkSchedule(name, schedule)
      momentsOf(name, schedule)
      if (schedule.worker !== undefined) assertFree('queue', schedule.worker)
      await decide(name, { verb: 'saved', saved: schedule })
    },
    async removeSchedule(name: string): Promise<void> {
      await find(name)
      await decide(name, { verb: 'removed' })
    },
    async pauseSchedule(name: string): Promise<void> {
      await find(name)
      await decide(name, { verb: 'paused' })
    },
    async resumeSchedule(name: string): Promise<void> {
      if (!(await shared.current()).get(checkText('The name of a schedule', name))?.removed) await find(name)
      await decide(name, { verb: 'resumed' })
    },
    async runSchedule(name: string): Promise<{ at: number }> {
      const at = kernel.clock.now()
      const id = fitText(`${name}.run.${kernel.newId()}`)
      await startAt(await find(name), [at], () => id)
      await shared.decide(name, { verb: 'started', id, at })
      return { at }
    },
    async backfillSchedule(name: string, range: Backfill): Promise<{ moments: number[] }> {
      checkKeys('backfillSchedule()', range, ['from', 'to', 'limit'])
      const { from, to, limit = DEFAULT_LIMIT } = range
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
