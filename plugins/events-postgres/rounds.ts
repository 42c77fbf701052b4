import type { AppendOptions, EventDraft } from '../../kernel/index.ts'
import { tagsOf } from '../_shared/tags.ts'

/** An append that waits for its group. */
export interface Pending {
  stream: string
  drafts: readonly EventDraft[]
  /** Copies of what the drafts carry. */
  data: readonly unknown[]
  /** The drafts as JSON, without the braces. */
  events: readonly string[]
  options: AppendOptions
  size: number
}

/** What is sent for one or more appends to a stream. */
interface Packed {
  members: Pending[]
  options: AppendOptions
  keys: Set<string>
}

export interface Round {
  /** Its appends as JSON, and their events: in one list, which is read at a stroke. */
  appends: string
  events: string
  /** Who travels in each of them. */
  members: Pending[][]
}

/**
 * Puts a group into rounds in which each stream comes once. Appends to one stream that follow each
 * other and would be accepted or refused together become one: a short job's start and end, its logs.
 */
export function packRounds(items: readonly Pending[]): [Round, ...Round[]] {
  const rounds: Packed[][] = []
  const last = new Map<string, { packed: Packed; round: number }>()
  for (const item of items) {
    const before = last.get(item.stream)
    if (before && merge(before.packed, item)) continue
    const round = before ? before.round + 1 : 0
    const packed: Packed = { members: [item], options: item.options, keys: keysOf(item) }
    ;(rounds[round] ??= []).push(packed)
    last.set(item.stream, { packed, round })
  }
  const [first, ...others] = rounds.map((round) => ({
    appends: `[${round.map(encodeAppend).join(',')}]`,
    events: `[${round.flatMap(encodeEvents).join(',')}]`,
    members: round.map(({ members }) => members),
  }))
  return [first!, ...others]
}

/** Adds an append to the one in front of it, if nothing can tell the difference. */
function merge(packed: Packed, item: Pending): boolean {
  const { options, keys } = packed
  const { unless, fence, expectedSeq, reopen, run } = item.options
  if (expectedSeq !== undefined || options.expectedSeq !== undefined || reopen || options.reopen) return false
  if (unless !== options.unless || fence?.job !== options.fence?.job || fence?.token !== options.fence?.token)
    return false
  // Behind the end of the run, or behind the key that it must not meet, it is refused on its own.
  if (options.run?.status !== undefined && options.run.status !== 'running') return false
  if (unless !== undefined && keys.has(unless)) return false
  for (const { key } of item.drafts) if (key !== undefined && keys.has(key)) return false
  packed.members.push(item)
  for (const key of keysOf(item)) keys.add(key)
  if (run) packed.options = { ...options, run: { ...options.run, ...definedOf(run) } }
  return true
}

function keysOf({ drafts }: Pending): Set<string> {
  return new Set(drafts.flatMap(({ key }) => (key === undefined ? [] : [key])))
}

function definedOf<T extends object>(value: T): Partial<T> {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as Partial<T>
}

function encodeAppend({ members, options }: Packed, index: number): string {
  const { unless, fence, expectedSeq, reopen, run } = options
  let text = `{"i":${index},"s":${JSON.stringify(members[0]!.stream)}`
  if (unless !== undefined) text += `,"u":${JSON.stringify(unless)}`
  if (fence) text += `,"j":${JSON.stringify(fence.job)},"t":${fence.token}`
  if (expectedSeq !== undefined) text += `,"x":${expectedSeq}`
  if (reopen) text += ',"r":true'
  if (run) {
    text += ',"p":true'
    if (run.status !== undefined) text += `,"rs":"${run.status}"`
    if (run.name !== undefined) text += `,"rn":${JSON.stringify(run.name)}`
    if (run.queue !== undefined) text += `,"rq":${JSON.stringify(run.queue)}`
    if (run.jobId !== undefined) text += `,"rj":${JSON.stringify(run.jobId)}`
    if (run.flow !== undefined) text += `,"rf":${JSON.stringify(run.flow)}`
    if (run.tags !== undefined) text += `,"rg":${JSON.stringify(tagsOf(run.tags) ?? [])}`
  }
  const events = members.reduce((sum, member) => sum + member.events.length, 0)
  return `${text},"n":${events}}`
}

function encodeEvents({ members }: Packed, index: number): string[] {
  let order = 0
  const events = members.flatMap((member) => member.events)
  return events.map((event) => `{"i":${index},"o":${order++},${event}}`)
}
