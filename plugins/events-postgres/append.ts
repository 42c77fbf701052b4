import type { AppendOptions, AppendResult, EventDraft, StoredEvent } from '../../kernel/index.ts'
import { createGroupCommit } from '../_shared/group-commit.ts'
import { encodeJson } from '../_shared/json.ts'
import { checkText, quoteName, type PostgresPort } from '../_shared/postgres.ts'
import { copyValue } from '../_shared/value.ts'
import { packRounds, type Pending } from './rounds.ts'
import { packNames } from './wake-ups.ts'

interface Answer {
  i: number
  reason: 'unless' | 'fence' | 'expectedSeq' | 'ended' | null
  head: number
  ts: string
  fresh: number[] | null
}

/** Appends: those that are made at the same time, to whatever streams, are one statement and one commit. */
export function createAppender(db: PostgresPort, payloadLimit: number) {
  const from = `SELECT i, reason, head, ts, fresh FROM ${quoteName(db.schema)}`

  const group = createGroupCommit<Pending, AppendResult>({
    sizeOf: ({ size }) => size,
    async commit(items) {
      const { rounds, members } = packRounds(items)
      const one = rounds.length === 1
      const text = `${from}.${one ? 'nq_append' : 'nq_append_rounds'}($1, $2)`
      const values = [one ? rounds[0] : JSON.stringify(rounds), packNames(items.map(({ stream }) => stream))]
      const answers = await db.query<Answer>(text, values)
      const results = new Map<Pending, AppendResult>()
      for (const answer of answers) {
        let before =
          answer.head - (answer.fresh?.length ?? members[answer.i]!.reduce((sum, one) => sum + one.data.length, 0))
        let offset = 0
        for (const member of members[answer.i]!) {
          const result = resultOf(member, answer, before, offset)
          results.set(member, result)
          if (result.ok) before += result.events.length
          offset += member.data.length
        }
      }
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
  for (const text of [run.name, run.queue, run.jobId, run.flow])
    if (text !== undefined) checkText(text, 'field of a run')
}

function textOf(text: string, what: string): string {
  checkText(text, what)
  return JSON.stringify(text)
}

/** The part of an answer that is one append's, whose events start at `offset` and after the `seq` `before`. */
function resultOf({ stream, drafts, data }: Pending, answer: Answer, before: number, offset: number): AppendResult {
  const { reason, head, ts, fresh } = answer
  if (reason !== null) return { ok: false, reason, head }
  const at = Number(ts)
  const events: StoredEvent[] = []
  for (const [index, { type, key, flow, step, stepId, attempt }] of drafts.entries()) {
    if (fresh && !fresh.includes(offset + index)) continue
    const seq = before + events.length + 1
    const id = `${stream}:${seq}`
    events.push({ seq, id, ts: at, type, runId: stream, flow, step, stepId, attempt, data: data[index], key })
  }
  return { ok: true, events, head: before + events.length }
}
