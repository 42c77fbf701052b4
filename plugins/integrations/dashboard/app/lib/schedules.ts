import type { ScheduleDraft, ScheduleView, TriggerDelivery, TriggerView } from '../../../lib/rest-types.ts'
import { formatDuration, formatMoment, formatTick } from './format.ts'
import { formatRate } from './limits.ts'

/** The options of a schedule that operators save: its timing and its target. */
export type ScheduleOptions = ScheduleDraft
/** A schedule as `GET schedules` lists it. */
export type Schedule = ScheduleView
export type Trigger = TriggerView
/** An event that fired a trigger, or was refused. */
export type Delivery = TriggerDelivery

/** The prefix of the names of schedules that belong to triggers. */
const OF_TRIGGER = 'trigger:'

/** Returns the name of the trigger that a schedule belongs to. The trigger defines its target and timing. */
export function triggerOf({ name }: Schedule): string | undefined {
  return name.startsWith(OF_TRIGGER) ? name.slice(OF_TRIGGER.length) : undefined
}

/** Returns the target of a schedule: `flow order`, `mail/send`, `trigger restock`. */
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

/** Returns the targets of a trigger: `order, mail/send`. */
export function startsOf({ subscriptions }: Pick<Trigger, 'subscriptions'>): string {
  return subscriptions.map(({ flow, worker }) => (flow === undefined ? worker : `flow ${flow}`)).join(', ') || 'nothing'
}

/** Returns where the events of a trigger come from: the name of an event, or an address. */
export function sourceOf({ event, url, path, type }: Pick<Trigger, 'event' | 'url' | 'path' | 'type'>): string {
  return event ?? url ?? path ?? (type === 'schedule' ? 'its schedule' : 'by hand')
}

/** Returns the state that represents an outcome of a trigger. A filtered or paused event is not a failure. */
export function stateOfDelivery({ type, reason }: Pick<Delivery, 'type' | 'reason'>): string {
  if (type === 'fired') return 'completed'
  if (reason === 'FILTERED') return 'cancelled'
  return reason === 'TRIGGER_PAUSED' ? 'paused' : 'failed'
}

/** Returns the rate limit of a trigger: `100 in 1 m`. */
export function rateText({ rateLimit }: Pick<Trigger, 'rateLimit'>): string | undefined {
  if (!rateLimit) return undefined
  const [limit, period] =
    'limit' in rateLimit ? [rateLimit.limit, rateLimit.period] : [rateLimit.max, rateLimit.duration]
  return formatRate({ limit, period })
}
