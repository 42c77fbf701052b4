import { randomUUID } from 'node:crypto'
import {
  toError,
  type AppendOptions,
  type AppendResult,
  type EventDraft,
  type StoredEvent,
} from '../../../../kernel/index.ts'
import { createGroupCommit } from '../../lib/group-commit.ts'
import { encodeJson } from '../../../lib/json.ts'
import { mayBeOneMembers } from '../lib/failure.ts'
import { checkStorableText, quoteName, type PostgresPort } from '../lib/postgres.ts'
import { copyValue } from '../../../lib/value.ts'
import { encodePass, packPasses, type Packed, type Pending } from './passes.ts'
import { joinPoll, sendWithPoll } from './join-poll.ts'
import { packNames } from './wake-ups.ts'
import { encodeInlineRuns, isInlineRun, INLINE_COLUMNS } from './inline-runs.ts'

/** The result of an append. */
interface PackedResult {
  head: number
  ts: number
  /** Why the append was rejected. Absent if it was accepted. */
  reason?: 'unless' | 'fence' | 'expectedSeq' | 'ended'
  /** The indexes of the stored events. Absent if all events were stored, because no key was known. */
  fresh?: number[]
}

/**
 * The result of one pass. `old` contains the appends to streams that existed, with their index `i` in the pass. All other
 * appends created their streams and stored all their events.
 */
interface PassResult {
  ts: number
  old?: (PackedResult & { i: number })[]
}

/**
 * The result of a batch. `old` contains the indexes, starting at 1, of inline runs whose stream existed. They were
 * appended in a separate pass, whose result is `met`.
 */
interface BatchResult {
  ts: number
  old?: number[]
  met?: PassResult
  rounds: PassResult[]
}

/** The maximum number of appends in a group. The start and the end of a job share one append if they are in the same group. */
const MAX_GROUP = 4000

/**
 * Creates the appender. Appends that are made at the same time, to any streams, are one statement and one commit. Each batch
 * has a number. It can be sent again after its connection broke, and takes effect exactly once.
 */
export function createAppender(db: PostgresPort, payloadLimit: number) {
  const parameters = Array.from({ length: INLINE_COLUMNS + 6 }, (_, index) => `$${index + 1}`)
  const text = `SELECT ${quoteName(db.schema)}.nq_append(${parameters.join(', ')}) AS answer`
  const writer = randomUUID()
  let batch = 0

  const group = createGroupCommit<Pending, AppendResult>({
    maxItems: MAX_GROUP,
    sizeOf: ({ size }) => size,
    splitOn: mayBeOneMembers,
    async commit(items) {
      const [first = [], ...rest] = packPasses(items)
      const inline = first.filter(isInlineRun)
      const others = first.filter((packed) => !isInlineRun(packed))
      const passes = others.length === 0 ? [] : [others, ...rest]
      const result = await send(inline, passes)
      const old = new Set(result.old)
      const created = inline.filter((_, index) => !old.has(index + 1))
      const existing = inline.filter((_, index) => old.has(index + 1))
      resolvePass(created, { ts: result.ts })
      if (result.met) resolvePass(existing, result.met)
      passes.forEach((pass, index) => resolvePass(pass, result.rounds[index]!))
      return items.map((item) => item.result!)
    },
  })

  async function send(inline: readonly Packed[], passes: readonly Packed[][]): Promise<BatchResult> {
    const [first, ...rest] = passes.map(encodePass)
    const streams = [inline, ...passes].flatMap((pass) => pass.map(({ stream }) => stream))
    const values = [
      ...encodeInlineRuns(inline),
      ...[first?.appends ?? null, first?.events ?? null, rest.length === 0 ? null : JSON.stringify(rest)],
      ...[packNames(streams), writer, ++batch],
    ]
    // From here on, the poll is either done or undone.
    const joined = joinPoll(db, inline, passes[0] ?? [])
    const answer = (joined && (await sendWithPoll(db, text, values, joined))) ?? (await sendAlone(values))
    return JSON.parse(answer) as BatchResult
  }

  async function sendAlone(values: readonly unknown[]): Promise<string> {
    const [row] = await db.query<{ answer: string }>(text, values, { repeatable: true })
    return row!.answer
  }

  return {
    append(stream: string, drafts: readonly EventDraft[], options: AppendOptions = {}): Promise<AppendResult> {
      try {
        return group.push(prepare(stream, drafts, options, payloadLimit))
      } catch (error) {
        return Promise.reject(toError(error))
      }
    },
    idle: () => group.idle(),
  }
}

function prepare(stream: string, drafts: readonly EventDraft[], options: AppendOptions, limit: number): Pending {
  checkStorableText(stream, 'stream')
  const kept = withoutRepeats(drafts)
  const data = kept.map(({ type, data: value }) =>
    value === undefined ? value : copyValue(value, limit, `data of event "${type}"`),
  )
  const events = kept.map((draft, index) => encodeEvent(draft, data[index]))
  checkOptions(options)
  const size = events.reduce((sum, { length }) => sum + length, 0)
  const copied = { ...options, run: options.run && { ...options.run } }
  return { stream, drafts: kept, data, options: copied, events, size, result: undefined }
}

/** Returns copies of the drafts. Of several drafts with the same key, only the first is kept. */
function withoutRepeats(drafts: readonly EventDraft[]): EventDraft[] {
  if (drafts.length === 1) return [{ ...drafts[0]! }]
  const keys = new Set<string>()
  return drafts.flatMap((draft) => {
    const { key } = draft
    if (key === undefined) return [{ ...draft }]
    if (keys.has(key)) return []
    keys.add(key)
    return [{ ...draft }]
  })
}

/** Encodes an event as JSON without braces. `EVENT_FIELDS` in `sql-inline-runs.ts` explains the letters. */
function encodeEvent({ type, key, flow, step, stepId, attempt }: EventDraft, data: unknown): string {
  let text = `"y":${textOf(type, 'event type')}`
  if (key !== undefined) text += `,"k":${textOf(key, 'event key')}`
  if (flow !== undefined) text += `,"f":${textOf(flow, 'flow name')}`
  if (step !== undefined) text += `,"s":${textOf(step, 'step name')}`
  if (stepId !== undefined) text += `,"d":${textOf(stepId, 'step id')}`
  if (attempt !== undefined) text += `,"a":${attempt}`
  if (data !== undefined) text += `,"v":${JSON.stringify(encodeJson(data))}`
  return text
}

function checkOptions({ unless, fence, run }: AppendOptions): void {
  if (unless !== undefined) checkStorableText(unless, 'event key')
  if (fence) checkStorableText(fence.job, 'job id')
  if (!run) return
  for (const text of [run.name, run.queue, run.jobId, run.flow, ...(run.tags ?? [])])
    if (text !== undefined) checkStorableText(text, 'field of a run')
}

function textOf(text: string, what: string): string {
  checkStorableText(text, what)
  return JSON.stringify(text)
}

/** Sets the results of all appends of a pass. */
function resolvePass(pass: readonly Packed[], { ts, old = [] }: PassResult): void {
  const existing = new Map<number, PackedResult>(old.map((result) => [result.i, result]))
  pass.forEach((packed, index) => resolveMembers(packed, existing.get(index) ?? { head: packed.events.length, ts }))
}

/** Sets the results of the appends that were merged into one. */
function resolveMembers({ members, events }: Packed, result: PackedResult): void {
  let before = result.head - (result.fresh?.length ?? events.length)
  let offset = 0
  for (const member of members) {
    member.result = resultOf(member, result, before, offset)
    if (member.result.ok) before += member.result.events.length
    offset += member.data.length
  }
}

/**
 * Returns the result of one of the merged appends.
 *
 * @param before the `seq` before its first event
 * @param offset the index of its first event among the merged events
 */
function resultOf(
  { stream, drafts, data }: Pending,
  result: PackedResult,
  before: number,
  offset: number,
): AppendResult {
  const { reason, head, ts, fresh } = result
  if (reason !== undefined) return { ok: false, reason, head }
  const events: StoredEvent[] = []
  drafts.forEach(({ type, key, flow, step, stepId, attempt }, index) => {
    if (fresh && !fresh.includes(offset + index)) return
    const seq = before + events.length + 1
    const id = `${stream}:${seq}`
    events.push({ seq, id, ts, type, runId: stream, flow, step, stepId, attempt, data: data[index], key })
  })
  return { ok: true, events, head: before + events.length }
}
