import type { TriggerDraft as TriggerOptions } from '../../../lib/rest-types.ts'
import { durationText, requiredDuration } from './moments.ts'
import type { Trigger } from './schedules.ts'

/** A trigger in the form in which it is edited: as strings. */
export interface TriggerDraft {
  name: string
  type: 'event' | 'webhook' | 'manual'
  event: string
  /** Of a webhook: its path, who sends the requests, and the environment variables of its secrets, separated by commas. */
  path: string
  sender: Sender
  secretEnv: string
  kind: 'worker' | 'flow'
  target: string
  /** How many events may pass in `period`. Empty for any number. */
  limit: string
  period: string
}

/** Senders of webhooks, with the options that verify them. */
const SENDERS = {
  github: { type: 'hmac', scheme: 'github' },
  stripe: { type: 'hmac', scheme: 'stripe' },
  standard: { type: 'standard' },
  bearer: { type: 'bearer' },
} as const
/** `other` keeps the options that were saved. */
type Sender = keyof typeof SENDERS | 'other'

function senderOf(verify: Trigger['verify']): Sender {
  if (!verify) return 'github'
  const { secretEnv: _name, ...options } = verify
  // A store may change the order of members.
  const textOf = (value: object): string =>
    JSON.stringify(
      Object.entries(value)
        .map(String)
        .toSorted((a, b) => (a < b ? -1 : 1)),
    )
  const same = ([, known]: [string, object]): boolean => textOf(known) === textOf(options)
  return (Object.entries(SENDERS).find(same)?.[0] as Sender | undefined) ?? 'other'
}

/** Returns the initial values of the form, for a new trigger or an existing one. */
export function triggerDraftOf(trigger?: Trigger): TriggerDraft {
  const { flow, worker } = trigger?.subscriptions[0] ?? {}
  const rate = trigger?.rateLimit && 'limit' in trigger.rateLimit ? trigger.rateLimit : undefined
  return {
    name: trigger?.name ?? '',
    type: trigger?.type === 'manual' || trigger?.type === 'webhook' ? trigger.type : 'event',
    event: trigger?.event ?? '',
    path: trigger?.path ?? '',
    sender: senderOf(trigger?.verify),
    secretEnv: [trigger?.verify?.secretEnv ?? []].flat().join(', '),
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
  const target = draft.target.trim()
  const { flow, entry } = before?.subscriptions[0] ?? {}
  const sameFlow = draft.kind === 'flow' && flow === target && entry !== undefined
  return { ...sourceOf(draft, before), [draft.kind]: target, ...(sameFlow && { entry }), ...rateOf(draft) }
}

function sourceOf({ type, event, path, sender, secretEnv }: TriggerDraft, before?: Trigger) {
  if (type === 'manual') return { type }
  if (type === 'event') return { type, event: event.trim() }
  const names = secretEnv.split(',').flatMap((name) => name.trim() || [])
  const options = sender === 'other' ? before!.verify! : SENDERS[sender]
  return { type, path: path.trim(), verify: { ...options, secretEnv: names.length === 1 ? names[0]! : names } }
}

function rateOf({ limit, period }: TriggerDraft): Pick<TriggerOptions, 'rateLimit'> {
  if (limit.trim() === '') return {}
  const events = Number(limit)
  if (!Number.isInteger(events) || events < 1) throw new Error('At most: enter a whole number of events.')
  return { rateLimit: { limit: events, period: requiredDuration('Within', period) } }
}
