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
import { checkText, quoteName, type PostgresPort } from '../lib/postgres.ts'
import { copyValue } from '../../../lib/value.ts'
import { encodeRound, packRounds, type Packed, type Pending } from './rounds.ts'
import { packNames } from './wake-ups.ts'
import { encodeWhole, isWhole, WHOLE_COLUMNS } from './whole.ts'

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

/** Of a batch: `old` are the places, from 1, of whole runs whose stream was there, and `met` is their round. */
interface BatchAnswer {
  ts: number
  old?: number[]
  met?: RoundAnswer
  rounds: RoundAnswer[]
}

/** Appends of a group at most. Start and end of a job are one append to the store if they travel together. */
const LARGEST_GROUP = 4000

/**
 * Appends: those that are made at the same time, to whatever streams, are one statement and one commit.
 * A batch has a number, so it is sent again when its connection broke, and takes effect once.
 */
export function createAppender(db: PostgresPort, payloadLimit: number) {
  const parameters = Array.from({ length: WHOLE_COLUMNS + 6 }, (_, index) => `$${index + 1}`)
  const text = `SELECT ${quoteName(db.schema)}.nq_append(${parameters.join(', ')}) AS answer`
  const writer = randomUUID()
  let batch = 0

  const group = createGroupCommit<Pending, AppendResult>({
    maxItems: LARGEST_GROUP,
    sizeOf: ({ size }) => size,
    splitOn: mayBeOneMembers,
    async commit(items) {
      const [first = [], ...rest] = packRounds(items)
      const whole = first.filter(isWhole)
      const others = first.filter((packed) => !isWhole(packed))
      const rounds = others.length === 0 ? [] : [others, ...rest]
      const answer = await send(whole, rounds)
      const old = new Set(answer.old)
      const made = whole.filter((_, index) => !old.has(index + 1))
      const met = whole.filter((_, index) => old.has(index + 1))
      tellRound(made, { ts: answer.ts })
      if (answer.met) tellRound(met, answer.met)
      rounds.forEach((round, index) => tellRound(round, answer.rounds[index]!))
      return items.map(({ result }) => result!)
    },
  })

  async function send(whole: readonly Packed[], rounds: readonly Packed[][]): Promise<BatchAnswer> {
    const [first, ...rest] = rounds.map(encodeRound)
    const streams = [whole, ...rounds].flatMap((round) => round.map(({ stream }) => stream))
    const values = [
      ...encodeWhole(whole),
      ...[first?.appends ?? null, first?.events ?? null, rest.length === 0 ? null : JSON.stringify(rest)],
      ...[packNames(streams), writer, ++batch],
    ]
    const [row] = await db.query<{ answer: string }>(text, values, { repeatable: true })
    return JSON.parse(row!.answer) as BatchAnswer
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
  checkText(stream, 'stream')
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

/** Takes the answer of a round apart. */
function tellRound(round: readonly Packed[], { ts, old = [] }: RoundAnswer): void {
  const told = new Map<number, Answer>(old.map((answer) => [answer.i, answer]))
  round.forEach((packed, index) => tellMembers(packed, told.get(index) ?? { head: packed.events.length, ts }))
}

/** Takes an answer apart, for each of the appends that travelled as one. */
function tellMembers({ members, events }: Packed, answer: Answer): void {
  let before = answer.head - (answer.fresh?.length ?? events.length)
  let offset = 0
  for (const one of members) {
    one.result = resultOf(one, answer, before, offset)
    if (one.result.ok) before += one.result.events.length
    offset += one.data.length
  }
}

/** The part of an answer that is one append's, whose events start at `offset` and after the `seq` `before`. */
function resultOf({ stream, drafts, data }: Pending, answer: Answer, before: number, offset: number): AppendResult {
  const { reason, head, ts, fresh } = answer
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
