import type { AppendResult } from '../../../../kernel/index.ts'
import { mergeAppend, type MergedAppends, type WaitingAppend } from '../../lib/merge-appends.ts'
import { tagsOf } from '../../lib/tags.ts'

/** An append that waits for its group. */
export interface Pending extends WaitingAppend {
  stream: string
  /** Copies of the data of the drafts. */
  data: readonly unknown[]
  /** The drafts as JSON, without braces. */
  events: readonly string[]
  size: number
  /** Set when the group is stored. */
  result: AppendResult | undefined
}

/** One or more appends to a stream, merged into one. */
export interface Packed extends MergedAppends<Pending> {
  stream: string
  /** The drafts of all members as JSON, without braces. */
  events: string[]
  /** The index of its pass. */
  pass: number
  /** True if a later pass contains another append to its stream. */
  followed: boolean
}

/**
 * Groups appends into passes. A pass contains each stream at most once. Appends to one stream that are accepted or refused
 * together are merged into one.
 */
export function packPasses(items: readonly Pending[]): Packed[][] {
  const passes: Packed[][] = []
  const last = new Map<string, Packed>()
  for (const item of items) {
    const { stream, options } = item
    const before = last.get(stream)
    if (before && mergeAppend(before, item)) {
      before.events.push(...item.events)
      continue
    }
    if (before) before.followed = true
    const pass = before ? before.pass + 1 : 0
    const packed = { stream, members: [item], options, events: [...item.events], pass, followed: false }
    ;(passes[pass] ??= []).push(packed)
    last.set(stream, packed)
  }
  return passes
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
