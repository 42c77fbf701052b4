import { randomUUID } from 'node:crypto'
import type { AppendOptions, AppendResult, EventDraft, StoredEvent } from '../../kernel/index.ts'
import { createGroupCommit } from '../_shared/group-commit.ts'
import { encodeJson } from '../_shared/json.ts'
import { checkText, quoteName, type PostgresPort } from '../_shared/postgres.ts'
import { copyValue } from '../_shared/value.ts'
import { packRounds, type Pending, type Round } from './rounds.ts'
import { packNames } from './wake-ups.ts'

/** What became of an append: `reason` when it was refused, `fresh` when some of its events were known. */
interface Answer {
  head: number
  ts: number
  reason?: 'unless' | 'fence' | 'expectedSeq' | 'ended'
  fresh?: number[]
}

/** Of one round. Appends that are not in `old` have made their streams, with all their events. */
interface RoundAnswer {
  ts: number
  old?: (Answer & { i: number })[]
}

/** Appends of a group at most. Start and end of a job are one append to the store if they travel together. */
const LARGEST_GROUP = 4000

/**
 * Appends: those that are made at the same time, to whatever streams, are one statement and one commit.
 * A batch has a number, so it is sent again when its connection broke, and takes effect once.
 */
export function createAppender(db: PostgresPort, payloadLimit: number) {
  const text = `SELECT ${quoteName(db.schema)}.nq_append($1, $2, $3, $4, $5, $6) AS answer`
  const writer = randomUUID()
  let batch = 0

  const group = createGroupCommit<Pending, AppendResult>({
    maxItems: LARGEST_GROUP,
    sizeOf: ({ size }) => size,
    async commit(items) {
      const rounds = packRounds(items)
      const [{ appends, events }, ...others] = rounds
      const rest = others.length === 0 ? null : JSON.stringify(others.map(sent))
      const values = [appends, events, rest, packNames(items.map(({ stream }) => stream)), writer, ++batch]
      const [row] = await db.query<{ answer: string }>(text, values, { repeatable: true })
      const answers = JSON.parse(row!.answer) as RoundAnswer[]
      const results = new Map<Pending, AppendResult>()
      for (const [index, { members }] of rounds.entries()) tellRound(members, answers[index]!, results)
      return items.map((item) => results.get(item)!)
    },
  })

  return {
    append(stream: string, drafts: readonly EventDraft[], options: AppendOptions = {}): Promise<AppendResult> {
      return group.push(prepare(stream, drafts, options, payloadLimit))
    },
    idle: () => group.idle(),
  }
}

/** A round as the function takes it. */
function sent({ appends, events }: Round): Pick<Round, 'appends' | 'events'> {
  return { appends, events }
}

function prepare(stream: string, drafts: readonly EventDraft[], options: AppendOptions, limit: number): Pending {
  checkText(stream, 'stream')
  const kept = withoutRepeats(drafts)
  const data = kept.map(({ type, data: value }) =>
    value === undefined ? value : copyValue(value, limit, `data of event "${type}"`),
  )
  const events = kept.map((draft, index) => encodeEvent(draft, data[index]))
  checkOptions(options)
  const size = events.reduce((sum, { length }) => sum + length, 0)
  return { stream, drafts: kept, data, options: { ...options, run: options.run && { ...options.run } }, events, size }
}

/** Copies, of the first event only for each key. */
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
  if (unless !== undefined) checkText(unless, 'event key')
  if (fence) checkText(fence.job, 'job id')
  if (!run) return
  for (const text of [run.name, run.queue, run.jobId, run.flow, ...(run.tags ?? [])])
    if (text !== undefined) checkText(text, 'field of a run')
}

function textOf(text: string, what: string): string {
  checkText(text, what)
  return JSON.stringify(text)
}

/** Takes the answer of a round apart, for each of the appends that travelled as one. */
function tellRound(members: readonly Pending[][], { ts, old = [] }: RoundAnswer, results: Map<Pending, AppendResult>) {
  const told = new Map<number, Answer>(old.map((answer) => [answer.i, answer]))
  for (const [index, appends] of members.entries()) {
    const total = appends.reduce((sum, { data }) => sum + data.length, 0)
    const answer = told.get(index) ?? { head: total, ts }
    let before = answer.head - (answer.fresh?.length ?? total)
    let offset = 0
    for (const one of appends) {
      const result = resultOf(one, answer, before, offset)
      results.set(one, result)
      if (result.ok) before += result.events.length
      offset += one.data.length
    }
  }
}

/** The part of an answer that is one append's, whose events start at `offset` and after the `seq` `before`. */
function resultOf({ stream, drafts, data }: Pending, answer: Answer, before: number, offset: number): AppendResult {
  const { reason, head, ts, fresh } = answer
  if (reason !== undefined) return { ok: false, reason, head }
  const events: StoredEvent[] = []
  for (const [index, { type, key, flow, step, stepId, attempt }] of drafts.entries()) {
    if (fresh && !fresh.includes(offset + index)) continue
    const seq = before + events.length + 1
    const id = `${stream}:${seq}`
    events.push({ seq, id, ts, type, runId: stream, flow, step, stepId, attempt, data: data[index], key })
  }
  return { ok: true, events, head: before + events.length }
}
