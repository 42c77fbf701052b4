import { formatDuration, formatMoment, formatTick } from './format.ts'

/** What a moment of a schedule has started. */
export interface ScheduleOutcome {
  at: number
  status: string
  runId: string
}

/** What operators save: when a schedule starts something, and what. */
export interface ScheduleOptions {
  cron?: string
  every?: number
  at?: string | number
  timeZone?: string
  anchor?: string | number
  flow?: string
  entry?: string
  worker?: string
  data?: unknown
  headers?: Readonly<Record<string, string>>
  jitter?: number
  overlap?: 'queue' | 'skip' | 'replace'
  catchUp?: 'last' | 'all' | false
}

/** A schedule as `GET schedules` lists it. */
export interface Schedule extends ScheduleOptions {
  name: string
  /** Whether it was saved for all processes, or is declared by code. */
  source: 'code' | 'shared'
  paused: boolean
  next?: number
  upcoming: readonly number[]
  recent: readonly ScheduleOutcome[]
}

export interface Trigger {
  name: string
  type: string
  event?: string
  path?: string
  url?: string
  subscriptions: readonly { id: string; flow?: string; worker?: string }[]
}

/** An event that fired a trigger, or was refused. */
export interface Delivery {
  type: 'fired' | 'refused'
  id: string
  at: number
  payload?: unknown
  started?: readonly { runId?: string; queue?: string; id?: string }[]
  reason?: string
  message?: string
}

/** The beginning of the names of schedules that triggers have. */
const OF_TRIGGER = 'trigger:'

/** Returns the name of the trigger that a schedule belongs to. Its target and timing are those of the trigger. */
export function triggerOf({ name }: Schedule): string | undefined {
  return name.startsWith(OF_TRIGGER) ? name.slice(OF_TRIGGER.length) : undefined
}

/** Returns what a schedule starts: `flow order`, `mail/send`, `trigger restock`. */
export function targetOf(schedule: Schedule): string {
  const trigger = triggerOf(schedule)
  if (trigger !== undefined) return `trigger ${trigger}`
  return schedule.flow === undefined ? (schedule.worker ?? '') : `flow ${schedule.flow}`
}

/** Returns when a schedule ticks: `0 3 * * *, Europe/Berlin`, `every 5 m`, or a moment. */
export function timingOf({ cron, every, at, timeZone }: ScheduleOptions): string {
  if (cron !== undefined) return timeZone === undefined ? cron : `${cron}, ${timeZone}`
  if (every !== undefined) return `every ${every < 60_000 ? formatTick(every) : formatDuration(every)}`
  return at === undefined ? '' : formatMoment(new Date(at).getTime())
}
