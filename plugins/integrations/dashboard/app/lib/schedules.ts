import { formatDuration, formatMoment, formatTick } from './format.ts'

export interface Schedule {
  name: string
  cron?: string
  every?: number
  at?: string | number
  timeZone?: string
  flow?: string
  worker?: string
  next?: number
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

/** Returns when a schedule ticks: `0 3 * * *, Europe/Berlin`, `every 5 m`, or a moment. */
export function timingOf({ cron, every, at, timeZone }: Schedule): string {
  if (cron !== undefined) return timeZone === undefined ? cron : `${cron}, ${timeZone}`
  if (every !== undefined) return `every ${every < 60_000 ? formatTick(every) : formatDuration(every)}`
  return at === undefined ? '' : formatMoment(new Date(at).getTime())
}
