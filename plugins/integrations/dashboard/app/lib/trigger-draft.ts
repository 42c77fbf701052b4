import type { TriggerDraft as TriggerOptions } from '../../../lib/rest-types.ts'
import { durationOf, durationText } from './moments.ts'
import type { Trigger } from './schedules.ts'

/** A trigger in the form in which it is edited: as strings. */
export interface TriggerDraft {
  name: string
  type: 'event' | 'manual'
  event: string
  kind: 'worker' | 'flow'
  target: string
  /** How many events may pass in `period`. Empty for any number. */
  limit: string
  period: string
}

/** Returns the initial values of the form, for a new trigger or an existing one. */
export function triggerDraftOf(trigger?: Trigger): TriggerDraft {
  const { flow, worker } = trigger?.subscriptions[0] ?? {}
  const rate = trigger?.rateLimit && 'limit' in trigger.rateLimit ? trigger.rateLimit : undefined
  return {
    name: trigger?.name ?? '',
    type: trigger?.type === 'manual' ? 'manual' : 'event',
    event: trigger?.event ?? '',
    kind: flow === undefined ? 'worker' : 'flow',
    target: flow ?? worker ?? '',
    limit: rate ? String(rate.limit) : '',
    period: rate ? durationText(rate.period) : '1m',
  }
}

/**
 * Returns the trigger to save. The entry of a flow stays unchanged.
 *
 * @param before the trigger that is edited
 * @throws Error for an invalid number or duration
 */
export function triggerOptionsOf(draft: TriggerDraft, before?: Trigger): TriggerOptions {
  const source = draft.type === 'event' ? { type: draft.type, event: draft.event.trim() } : { type: draft.type }
  const target = draft.target.trim()
  const { flow, entry } = before?.subscriptions[0] ?? {}
  const sameFlow = draft.kind === 'flow' && flow === target && entry !== undefined
  return { ...source, [draft.kind]: target, ...(sameFlow && { entry }), ...rateOf(draft) }
}

function rateOf({ limit, period }: TriggerDraft): Pick<TriggerOptions, 'rateLimit'> {
  if (limit.trim() === '') return {}
  const events = Number(limit)
  const ms = durationOf(period)
  if (!Number.isInteger(events) || events < 1) throw new Error('At most: enter a whole number of events.')
  if (ms === undefined || ms === 0) throw new Error('Within: enter a duration such as 30s, 10m, 2h or 1d.')
  return { rateLimit: { limit: events, period: ms } }
}
