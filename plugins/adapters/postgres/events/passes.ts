import type { AppendOptions, AppendResult, EventDraft } from '../../../../kernel/index.ts'
import { tagsOf } from '../../lib/tags.ts'

/** An append that waits for its group. */
export interface Pending {
  stream: string
  drafts: readonly EventDraft[]
  /** Copies of the data of the drafts. */
  data: readonly unknown[]
  /** The drafts as JSON, without braces. */
  events: readonly string[]
  options: AppendOptions
  size: number
  /** Set when the group is stored. */
  result: AppendResult | undefined
}

/** One or more appends to a stream, merged into one. */
export interface Packed {
  stream: string
  members: Pending[]
  options: AppendOptions
  /** The drafts of all members as JSON, without braces. */
  events: string[]
  /** The index of its pass. */
  pass: number
  /** True if a later pass contains another append to its stream. */
  followed: boolean
}

/**
 * Groups appends into passes. Successive appends to one stream are merged if they would be accepted or rejected together,
 * for example the start and the end of a short job, and its logs. A pass contains each stream at most once.
 */
export function packPasses(items: readonly Pending[]): Packed[][] {
  const passes: Packed[][] = []
  const last = new Map<string, Packed>()
  for (const item of items) {
    const { stream, options } = item
    const before = last.get(stream)
    if (before && merge(before, item)) continue
    if (before) before.followed = true
    const pass = before ? before.pass + 1 : 0
    const packed = { stream, members: [item], options, events: [...item.events], pass, followed: false }
    ;(passes[pass] ??= []).push(packed)
    last.set(stream, packed)
  }
  return passes
}

/** Merges an append into the previous one of its stream, if the result is the same. Returns false otherwise. */
function merge(packed: Packed, item: Pending): boolean {
  const { options } = packed
  const { unless, fence, expectedSeq, reopen, run } = item.options
  if (expectedSeq !== undefined || options.expectedSeq !== undefined || reopen || options.reopen) return false
  if (unless !== options.unless || fence?.job !== options.fence?.job || fence?.token !== options.fence?.token)
    return false
  // After an append that ends the run, or that contains the key of `unless`, this append is rejected on its own.
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

/**
 * Encodes a pass for `nq_append`, as JSON: the appends, and all their events in one list, which PostgreSQL parses at once.
 * `APPENDS` and `EVENTS` in `sql-passes.ts` explain the letters.
 */
export function encodePass(pass: readonly Packed[]): { appends: string; events: string } {
  return { appends: `[${pass.map(encodeAppend).join(',')}]`, events: `[${pass.flatMap(encodeEvents).join(',')}]` }
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
