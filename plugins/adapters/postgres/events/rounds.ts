import type { AppendOptions, AppendResult, EventDraft } from '../../../../kernel/index.ts'
import { tagsOf } from '../../lib/tags.ts'

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
  /** What became of it. */
  result: AppendResult | undefined
}

/** What is sent for one or more appends to a stream. */
export interface Packed {
  stream: string
  members: Pending[]
  options: AppendOptions
  /** The drafts of all members as JSON, without the braces. */
  events: string[]
  /** Its place among those of its stream. */
  round: number
  /** Whether another one for its stream follows. */
  followed: boolean
}

/**
 * Appends of a group. Those to one stream that follow each other and would be accepted or refused
 * together are one: a short job's start and end, its logs. In a round each stream comes once.
 */
export function packRounds(items: readonly Pending[]): Packed[][] {
  const rounds: Packed[][] = []
  const last = new Map<string, Packed>()
  for (const item of items) {
    const { stream, options } = item
    const before = last.get(stream)
    if (before && merge(before, item)) continue
    if (before) before.followed = true
    const round = before ? before.round + 1 : 0
    const packed = { stream, members: [item], options, events: [...item.events], round, followed: false }
    ;(rounds[round] ??= []).push(packed)
    last.set(stream, packed)
  }
  return rounds
}

/** Adds an append to the one in front of it, if nothing can tell the difference. */
function merge(packed: Packed, item: Pending): boolean {
  const { options } = packed
  const { unless, fence, expectedSeq, reopen, run } = item.options
  if (expectedSeq !== undefined || options.expectedSeq !== undefined || reopen || options.reopen) return false
  if (unless !== options.unless || fence?.job !== options.fence?.job || fence?.token !== options.fence?.token)
    return false
  // Behind the end of the run, or behind the key that it must not meet, it is refused on its own.
  if (options.run?.status !== undefined && options.run.status !== 'running') return false
  if (unless !== undefined && hasKey(packed, unless)) return false
  for (const { key } of item.drafts) if (key !== undefined && hasKey(packed, key)) return false
  packed.members.push(item)
  packed.events.push(...item.events)
  if (run) packed.options = { ...options, run: mergeRun(options.run, run) }
  return true
}

function hasKey({ members }: Packed, key: string): boolean {
  return members.some(({ drafts }) => drafts.some((draft) => draft.key === key))
}

function mergeRun(before: AppendOptions['run'], run: NonNullable<AppendOptions['run']>): AppendOptions['run'] {
  if (!before) return run
  const { name = before.name, status = before.status, queue = before.queue, flow = before.flow } = run
  return { name, status, queue, flow, jobId: run.jobId ?? before.jobId, tags: run.tags ?? before.tags }
}

/** A round as `nq_append` takes it, as JSON: its appends, and their events in one list, which is read at a stroke. */
export function encodeRound(round: readonly Packed[]): { appends: string; events: string } {
  return { appends: `[${round.map(encodeAppend).join(',')}]`, events: `[${round.flatMap(encodeEvents).join(',')}]` }
}

function encodeAppend({ stream, events, options }: Packed, index: number): string {
  const { unless, fence, expectedSeq, reopen, run } = options
  let text = `{"i":${index},"s":${JSON.stringify(stream)}`
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
  return `${text},"n":${events.length}}`
}

function encodeEvents({ events }: Packed, index: number): string[] {
  return events.map((event, order) => `{"i":${index},"o":${order},${event}}`)
}
