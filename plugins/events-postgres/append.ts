import type { AppendOptions, AppendResult, EventDraft, StoredEvent } from '../../kernel/index.ts'
import { createGroupCommit } from '../_shared/group-commit.ts'
import { encodeJson } from '../_shared/json.ts'
import { checkText, quoteName, type PostgresPort } from '../_shared/postgres.ts'
import { copyValue } from '../_shared/value.ts'
import { packNames } from './wake-ups.ts'

interface Pending {
  stream: string
  drafts: readonly EventDraft[]
  data: readonly unknown[]
  /** Its options and events as the function takes them, without the number of the append. */
  options: string
  events: readonly string[]
  size: number
}

interface Answer {
  i: number
  reason: 'unless' | 'fence' | 'expectedSeq' | 'ended' | null
  head: number
  ts: string
  fresh: number[] | null
}

/** Appends: those that are made at the same time, to whatever streams, are one statement and one commit. */
export function createAppender(db: PostgresPort, payloadLimit: number) {
  const text = `SELECT i, reason, head, ts, fresh FROM ${quoteName(db.schema)}.nq_append_all($1, $2)`

  const group = createGroupCommit<Pending, AppendResult>({
    sizeOf: ({ size }) => size,
    async commit(items) {
      const values = [roundsOf(items), packNames(items.map(({ stream }) => stream))]
      const answers = await db.query<Answer>(text, values)
      const results: AppendResult[] = Array.from({ length: items.length })
      for (const answer of answers) results[answer.i] = resultOf(items[answer.i]!, answer)
      return results
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
  const kept = drafts.map((draft) => ({ ...draft }))
  const data = kept.map(({ type, data: value }) =>
    value === undefined ? value : copyValue(value, limit, `data of event "${type}"`),
  )
  const events = kept.map((draft, index) => encodeEvent(draft, data[index]))
  const size = events.reduce((sum, { length }) => sum + length, 0)
  return { stream, drafts: kept, data, options: encodeOptions(stream, options), events, size }
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

function encodeOptions(stream: string, { unless, fence, expectedSeq, reopen, run }: AppendOptions): string {
  let text = `"s":${JSON.stringify(stream)}`
  if (unless !== undefined) text += `,"u":${textOf(unless, 'event key')}`
  if (fence) text += `,"j":${textOf(fence.job, 'job id')},"t":${fence.token}`
  if (expectedSeq !== undefined) text += `,"x":${expectedSeq}`
  if (reopen) text += ',"r":true'
  if (!run) return text
  text += ',"p":true'
  if (run.status !== undefined) text += `,"rs":"${run.status}"`
  if (run.name !== undefined) text += `,"rn":${textOf(run.name, 'run name')}`
  if (run.queue !== undefined) text += `,"rq":${textOf(run.queue, 'queue name')}`
  if (run.jobId !== undefined) text += `,"rj":${textOf(run.jobId, 'job id')}`
  if (run.flow !== undefined) text += `,"rf":${textOf(run.flow, 'flow name')}`
  return text
}

function textOf(text: string, what: string): string {
  checkText(text, what)
  return JSON.stringify(text)
}

/** A stream comes once in a round; its later appends go into later ones, in order. */
function roundsOf(items: readonly Pending[]): string {
  const rounds: { appends: string[]; events: string[] }[] = []
  const seen = new Map<string, number>()
  for (const [index, { stream, options, events }] of items.entries()) {
    const number = seen.get(stream) ?? 0
    seen.set(stream, number + 1)
    const round = (rounds[number] ??= { appends: [], events: [] })
    round.appends.push(`{"i":${index},${options}}`)
    for (const event of events) round.events.push(`{"i":${index},${event}}`)
  }
  return `[${rounds.map(({ appends, events }) => `[[${appends.join(',')}],[${events.join(',')}]]`).join(',')}]`
}

function resultOf({ stream, drafts, data }: Pending, { reason, head, ts, fresh }: Answer): AppendResult {
  if (reason !== null) return { ok: false, reason, head }
  const count = fresh?.length ?? drafts.length
  const at = Number(ts)
  const events: StoredEvent[] = []
  for (let place = 0; place < count; place++) {
    const index = fresh ? fresh[place]! : place
    const { type, key, flow, step, stepId, attempt } = drafts[index]!
    const seq = head - count + place + 1
    const id = `${stream}:${seq}`
    events.push({ seq, id, ts: at, type, runId: stream, flow, step, stepId, attempt, data: data[index], key })
  }
  return { ok: true, events, head }
}
