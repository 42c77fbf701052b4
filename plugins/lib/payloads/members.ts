import { isPromise, isReserved, type MaybePromise } from '../../../kernel/index.ts'
import { isPlain } from '../handle.ts'
import { after, type Leaf } from './codec.ts'

/*
 * Which members of an event are payloads. Ids, names, tags, keys and moments are not, so that a process that cannot decode payloads
 * still lists runs, draws their graph and finds what they wait for.
 *
 * | type of event | payloads |
 * |---|---|
 * | your own types | the whole data |
 * | types of this package | every member that is not in `FACTS` |
 * | types of streams that plugins keep for themselves (`_…`, `errors.…`) | the members in `TEXTS`, at any depth |
 * | counters and heartbeats | none |
 */

type Member = 'fact' | 'payload' | 'nested'
type Rule = (key: string) => Member

const words = (text: string): ReadonlySet<string> => new Set(text.split(/\s+/))

const FACTS =
  words(`id key name queue worker claim runId jobId flow step stepId event type version n seq ts at index level mode status count
  cause causes tags headers parent forkedFrom from job acknowledgedAt runAt since until past final timedOut wait as waits waitId taken behind
  passed once hash hashed before started starts verified get due open retryable expired
  expiresAt`)
/** The members of an object that tell it from others of its kind. Its payloads are bound to them, so that two objects cannot swap payloads. */
const IDENTITY = ['name', 'key', 'event', 'id'] as const
/** Lists and objects with payloads inside. */
const NESTED = words('changes parts events replace')
const TEXTS = words('data input payload result message stack page text title')
const NO_PAYLOADS = /^(?:stats|worker|audit|schedule|group|errors[.]status$)/
const WHOLE = /^debounce[.]call$/

const ofPackage: Rule = (key) => (FACTS.has(key) ? 'fact' : NESTED.has(key) || /^\d+$/.test(key) ? 'nested' : 'payload')
const ofStream: Rule = (key) => (TEXTS.has(key) ? 'payload' : 'nested')
const MESSAGES = /^(?:client$|progress$|abort$|_)/
const ofMessage: Rule = (key) => (key === 'reason' ? 'payload' : ofStream(key))
/** The reason of a deferral is a code. The reason of a cancellation is a text of the caller. */
const withReason: Rule = (key) => (key === 'reason' ? 'fact' : ofPackage(key))
/** `started` lists the targets of a trigger. Some of them could not start, for a reason with a message. */
const ofTrigger: Rule = (key) => (key === 'started' ? 'nested' : key === 'subscription' ? 'fact' : withReason(key))

/** The rules of the types that were seen, because each event needs its rule. */
const known = new Map<string, Rule | 'whole' | 'none'>()
const MAX_KNOWN = 1000

function ruleOf(type: string): Rule | 'whole' | 'none' {
  const rule = known.get(type) ?? findRule(type)
  if (known.size < MAX_KNOWN) known.set(type, rule)
  return rule
}

function findRule(type: string): Rule | 'whole' | 'none' {
  if (!isReserved('event', type) || WHOLE.test(type)) return 'whole'
  if (NO_PAYLOADS.test(type)) return 'none'
  if (type.startsWith('_') || type.startsWith('errors.')) return ofStream
  if (type.startsWith('trigger.')) return ofTrigger
  return type === 'step.deferred' ? withReason : ofPackage
}

/** Converts the payloads in the data of an event or message. Returns the same data if nothing changes. */
export function mapEventData(type: string, data: unknown, leaf: Leaf): MaybePromise<unknown> {
  if (data === undefined) return data
  const rule = ruleOf(type)
  if (rule === 'none') return data
  return rule === 'whole' || typeof data !== 'object' ? leaf(data, type) : mapMembers(data, rule, type, leaf)
}

/** Converts the payloads in a message that is not stored. Processes coordinate with the types of this package. */
export function mapMessageData(type: string, data: unknown, leaf: Leaf): MaybePromise<unknown> {
  if (data === undefined) return data
  const kind = `message.${type}`
  return MESSAGES.test(type) ? mapMembers(data, ofMessage, kind, leaf) : leaf(data, kind)
}

/**
 * Whether a payload in the data of an event may be a text with this prefix. It errs on the side of true. Appends that convert nothing
 * ask it, because walking all members takes ten times as long.
 */
export function mayHoldText(data: unknown, prefix: string): boolean {
  if (typeof data === 'string') return data.startsWith(prefix)
  if (typeof data !== 'object' || data === null) return false
  for (const key in data) {
    const member = (data as Record<string, unknown>)[key]
    if (typeof member === 'string' ? member.startsWith(prefix) : mayBeNested(key, member)) return true
  }
  return false
}

function mayBeNested(key: string, member: unknown): boolean {
  return typeof member === 'object' && member !== null && (NESTED.has(key) || key === 'started' || key === 'error')
}

/** Whether the data of an event of this type has payloads. */
export function hasPayloads(type: string): boolean {
  return ruleOf(type) !== 'none'
}

/** Converts a snapshot. Only the one of open waits has facts that are of use without its payloads. */
export function mapSnapshot(reducer: string, state: unknown, leaf: Leaf): MaybePromise<unknown> {
  if (state === null || state === undefined) return state
  const kind = `snapshot.${reducer}`
  if (/^(?:wait|bulk|stats)@/.test(reducer)) return mapMembers(state, ofStream, kind, leaf)
  return leaf(state, kind)
}

function mapMembers(value: unknown, rule: Rule, kind: string, leaf: Leaf): MaybePromise<unknown> {
  if (typeof value !== 'object' || value === null || !(Array.isArray(value) || isPlain(value))) {
    return rule === ofStream || rule === ofMessage ? value : leaf(value, kind)
  }
  const members = value as Record<string, unknown>
  const owner = rule === ofStream || rule === ofMessage ? kind : kind + identityOf(members)
  const pending: Promise<void>[] = []
  let changed: Record<string, unknown> | undefined
  const set = (key: string, next: unknown): void => {
    if (next === members[key]) return
    changed ??= (Array.isArray(value) ? [...(value as unknown[])] : { ...members }) as Record<string, unknown>
    Object.defineProperty(changed, key, { value: next, configurable: true, enumerable: true, writable: true })
  }
  for (const key of Object.keys(members)) {
    const member = members[key]
    if (member === undefined) continue
    const next = mapMember(key, member, rule, owner, leaf)
    if (isPromise(next)) pending.push(next.then((one) => set(key, one)))
    else set(key, next)
  }
  const result = (): unknown => changed ?? value
  return pending.length === 0 ? result() : Promise.all(pending).then(result)
}

/** Returns the identity of an object in the form of an index, such as `["charge"]`. */
function identityOf(members: Record<string, unknown>): string {
  const found = IDENTITY.map((key) => members[key]).filter((one) => typeof one === 'string')
  return found.length > 0 ? JSON.stringify(found) : ''
}

function mapMember(key: string, member: unknown, rule: Rule, kind: string, leaf: Leaf): MaybePromise<unknown> {
  if (key === 'error') return mapError(member, `${kind}.error`, leaf)
  switch (rule(key)) {
    case 'fact':
      return member
    case 'nested':
      return mapMembers(member, rule, `${kind}.${key}`, leaf)
    case 'payload':
      // The end of a job and its settlement hold the same text, because some stores write both at once.
      return leaf(member, kind === 'step.completed' && key === 'result' ? 'result' : `${kind}.${key}`)
  }
}

/**
 * Converts an error. Its name and code stay, because searches and groups use them. All other members become one text in the place of the
 * message, so that the result has the form of an error.
 */
export function mapError(error: unknown, kind: string, leaf: Leaf): MaybePromise<unknown> {
  if (typeof error !== 'object' || error === null || !('message' in error)) return leaf(error, kind)
  const { name, code, ...rest } = error as Record<string, unknown>
  const encoded = Object.keys(rest).length === 1 && typeof rest.message === 'string'
  // A text alone may be an encoded one. If it is not, the codec returns it unchanged.
  const given = encoded ? leaf(rest.message, kind) : leaf(rest, kind)
  return after(given, (converted) => {
    if (converted === rest || converted === rest.message) return error
    const parts = typeof converted === 'string' ? { message: converted } : (converted as object)
    return { name, ...(code !== undefined && { code }), ...parts }
  })
}
