import { checkMoment, EXPECTED, invalid, isHeaders, isPriority } from '../../../../kernel/index.ts'
import type {
  Backoff,
  JobDraft,
  JobFlow,
  JobRecord,
  JobState,
  SerializedError,
  StoredJobOptions,
} from '../../../../kernel/index.ts'
import { decodeJson, encodeJson } from '../../../lib/json.ts'
import type { FairShare } from '../../lib/fair-share.ts'
import { checkStorableText } from '../lib/postgres.ts'
import { encodeQueue, hashUuid, jobUuid } from './names.ts'
import { NO_TURN } from './sql-fair-keys.ts'

/**
 * Our own part of a job, stored by pg-boss in the column `trace_context` under `nq`. Members with default values are omitted.
 * The letters are part of the stored format.
 */
export interface Envelope {
  /** The id of the job, if it is not a UUID. */
  i?: string
  /** The id of the run, if it is not the id of the job. */
  r?: string
  /** The name of the job. Jobs of pg-boss clients have none. */
  n?: string
  /** The options. */
  o?: StoredJobOptions
  /** The tags. */
  tags?: readonly string[]
  /** The header `nq`. All other headers are stored next to the envelope. */
  h?: string
  /** The headers, which are stored next to the envelope in `trace_context`. Set when a row is read, and never stored here. */
  w?: Record<string, unknown>
  /** The position in a flow. */
  l?: JobFlow
  /** The fraction of the priority. pg-boss stores the integer part. */
  f?: number
  /** When the job was enqueued, in milliseconds since the epoch. */
  t?: number
  /** When the job is due, in milliseconds since the epoch, unless it was due immediately. */
  x?: number
  /** Attempts made. */
  attempts?: number
  /** The round in which the attempts were made, if it is not `k`. */
  b?: number
  /** Crashes. */
  c?: number
  /** Leases that expired although the process was alive. */
  y?: number
  /** How often the job was retried manually. */
  k?: number
  /** Progress. */
  g?: number
  /** True if the job was promoted while it was active. */
  u?: boolean
  /** The token of the fair key. */
  q?: string
  /** The weight of the fair key, if it is not 1. */
  v?: number
  /** True if the data is undefined. pg-boss stores null for it. */
  z?: boolean
}

/** A row of pg-boss's job table. Times are in milliseconds since the epoch. */
export interface JobRow {
  id: string
  data: string | null
  env: string | null
  retry_count: number
  priority: number
  retry_limit: number
  retry_delay: number
  retry_backoff: boolean
  retry_delay_max: number | null
  started: number | null
  created: number
  due: number
}

export interface StoredJobRow extends JobRow {
  name: string
  state: string
  output: string | null
  completed: number | null
  now: number
}

/**
 * The envelope of a job with the alias `j`, as text. Headers are stored next to it in `trace_context`, where clients of pg-boss with
 * OpenTelemetry write and read the context of a trace.
 */
export const ENVELOPE = `(CASE WHEN j.trace_context - 'nq' <> '{}'
  THEN coalesce(j.trace_context -> 'nq', '{}') || jsonb_build_object('w', j.trace_context - 'nq')
  ELSE j.trace_context -> 'nq' END)::text`

/** The columns of `StoredJobRow`, for a job with the alias `j`. */
export const STORED_COLUMNS = `j.name, j.id, j.state::text, j.data::text, j.output::text,
  ${ENVELOPE} AS env, j.retry_count, j.priority, j.retry_limit, j.retry_delay, j.retry_backoff,
  j.retry_delay_max, extract(epoch FROM j.started_on)::float8 * 1000 AS started,
  extract(epoch FROM j.created_on)::float8 * 1000 AS created,
  extract(epoch FROM j.start_after)::float8 * 1000 AS due,
  extract(epoch FROM j.completed_on)::float8 * 1000 AS completed,
  extract(epoch FROM clock_timestamp())::float8 * 1000 AS now`

/** Escapes that are valid in JSON but not in jsonb: NUL and lone surrogates. */
const NOT_IN_JSONB = /\\u(?:0000|d[89a-f])/i
/** The beginning of a wrapped JSON text that jsonb would reject. */
const WRAPPED = '{"$json":'

/** Encodes a value as JSON that jsonb accepts. */
export function encodeJsonb(value: unknown): string {
  const text = encodeJson(value)
  return NOT_IN_JSONB.test(text) ? `${WRAPPED}${JSON.stringify(text)}}` : text
}

function decodeJsonb(text: string): unknown {
  if (!text.startsWith('{"$json"')) return decodeJson(text)
  return decodeJson((JSON.parse(text) as { $json: string }).$json)
}

/** Encodes a result like pg-boss: an object stays as it is, and any other value becomes `{ value }`. */
export function encodeOutput(result: unknown): string | undefined {
  if (result === undefined) return undefined
  const text = encodeJsonb(result)
  return text.startsWith('{') && !/^\{"(?:value|\$\w+)":/.test(text) ? text : `{"value":${text}}`
}

function decodeOutput(text: string | null): unknown {
  if (text === null) return undefined
  if (!text.startsWith('{"value":')) return decodeJsonb(text)
  const keys = Object.keys(JSON.parse(text) as object)
  if (keys.length > 1) return decodeJsonb(text)
  return decodeJsonb(text.slice('{"value":'.length, -1).trim())
}

/** @throws QueueError `VALUE_UNSUPPORTED` if PostgreSQL cannot store a name or id, `OPTION_INVALID` for an invalid moment or priority */
export function checkStorableDraft({ id, queue, name, runId, runAt, createdAt, priority }: JobDraft): void {
  checkMoment('"runAt" of a job', runAt)
  checkMoment('"createdAt" of a job', createdAt)
  if (!isPriority(priority)) throw invalid('"priority" of a job', EXPECTED.priority, priority)
  checkStorableText(id, 'job id')
  checkStorableText(queue, 'queue name')
  checkStorableText(name, 'job name')
  checkStorableText(runId, 'run id')
}

/**
 * Encodes a job for `nq_enqueue`, which documents the members. With `hasTurn`, a job with a fair key gets its turn from `nq_enqueue_fair`.
 */
export function encodeJob(
  draft: JobDraft,
  data: unknown,
  now: number,
  index: number,
  share: FairShare | undefined,
  hasTurn: boolean,
): string {
  const { id, queue, name, runId, options, flow, tags, headers, createdAt, runAt, priority } = draft
  const uuid = jobUuid(queue, id)
  const integer = Math.floor(priority)
  const fraction = priority - integer
  const envelope: Envelope = { n: name, t: createdAt }
  if (uuid !== id) envelope.i = id
  if (runId !== id) envelope.r = runId
  for (const _any in options) {
    envelope.o = options
    break
  }
  if (flow) envelope.l = flow
  if (tags) envelope.tags = tags
  if (fraction > 0) envelope.f = fraction
  if (runAt !== createdAt) envelope.x = runAt
  if (data === undefined) envelope.z = true
  if (share) {
    envelope.q = share.token
    if (share.weight !== 1) envelope.v = share.weight
  }
  const delay = runAt > createdAt ? Math.max(0, runAt - now) : 0
  const backoff = plainBackoff(options.backoff)
  let text = `{"n":${index},"q":${JSON.stringify(encodeQueue(queue))},"i":"${uuid}","p":${clampInt(integer)}`
  if (fraction > 0) text += `,"f":${fraction}`
  if (delay > 0) text += `,"w":${delay},"at":${runAt}`
  text += `,"rl":${(options.attempts ?? 1) - 1},"rd":${backoff.delay},"rb":${backoff.exponential}`
  if (backoff.max !== undefined) text += `,"rx":${backoff.max}`
  if (share) text += hasTurn ? `,"k":"${share.token}","g":${share.weight}` : `,"s":"${NO_TURN}"`
  if (headers?.nq !== undefined) envelope.h = headers.nq
  return `${text},"e":${JSON.stringify({ ...headers, nq: envelope })}}`
}

/** Returns the backoff for plain pg-boss workers, in seconds. */
function plainBackoff(backoff: number | Backoff | undefined): { delay: number; exponential: boolean; max?: number } {
  const { type, delay, maxDelay } =
    typeof backoff === 'object' ? backoff : { type: 'fixed', delay: backoff ?? 0, maxDelay: undefined }
  return {
    delay: clampInt(Math.ceil(delay / 1000)),
    exponential: type === 'exponential',
    max: maxDelay === undefined ? undefined : clampInt(Math.ceil(maxDelay / 1000)),
  }
}

function clampInt(value: number): number {
  return Math.max(-2_147_483_648, Math.min(2_147_483_647, value))
}

/** Returns the envelope of a job from a pg-boss client. Its attempts come from its retries, and its run from its queue and id. */
function foreignEnvelope(queue: string, row: JobRow, envelope: Envelope): Envelope {
  const { retry_limit, retry_delay, retry_backoff, retry_delay_max } = row
  const backoff: Backoff = retry_backoff
    ? { type: 'exponential', delay: Math.max(1, retry_delay) * 1000, jitter: 0.5 }
    : { type: 'fixed', delay: retry_delay * 1000 }
  if (retry_delay_max !== null) backoff.maxDelay = retry_delay_max * 1000
  const options = { attempts: retry_limit + 1, backoff }
  return { n: '', r: hashUuid(`run\n${queue}\n${row.id}`), t: Math.floor(row.created), o: options, ...envelope }
}

/**
 * Returns the round of a job and the attempts in it. A retry by a pg-boss client raises `retry_limit` by one and changes nothing in
 * the envelope. It begins a new round, like a retry by us.
 */
function roundOf({ retry_limit }: JobRow, { o, k = 0, b, attempts = 0 }: Envelope) {
  const round = k + Math.max(0, retry_limit - clampInt((o?.attempts ?? 1) - 1))
  return { round, attemptsMade: (b ?? k) === round ? attempts : 0 }
}

/** Returns the record of a job that waits or has just been claimed. */
export function recordOf(queue: string, row: JobRow, state: JobState): JobRecord {
  const stored = row.env === null ? {} : (JSON.parse(row.env) as Envelope)
  const foreign = stored.n === undefined
  const envelope = foreign ? foreignEnvelope(queue, row, stored) : stored
  const { i, r, n, o, l, tags, h, w, f, t, x, c, y, g, z } = envelope
  const id = i ?? row.id
  const due = Math.floor(row.due)
  return {
    id,
    queue,
    name: n!,
    data: z
      ? undefined
      : row.data === null
        ? null
        : foreign
          ? (JSON.parse(row.data) as unknown)
          : decodeJsonb(row.data),
    runId: r ?? id,
    options: o ?? {},
    priority: f === undefined ? row.priority : row.priority + f,
    createdAt: t!,
    runAt: x === undefined ? (foreign ? due : t!) : Math.min(x, due),
    flow: l,
    tags,
    headers: w || h !== undefined ? decodeHeaders({ ...w, ...(h !== undefined && { nq: h }) }) : undefined,
    state,
    ...roundOf(row, envelope),
    claims: row.started === null ? 0 : row.retry_count + 1,
    crashes: c ?? 0,
    lapses: y,
    startedAt: row.started === null ? undefined : Math.floor(row.started),
    finishedAt: undefined,
    progress: g,
    result: undefined,
    error: undefined,
  }
}

/** Returns headers. A client of pg-boss may have stored something else. */
function decodeHeaders(value: unknown): Readonly<Record<string, string>> | undefined {
  return isHeaders(value) ? value : undefined
}

export function storedRecord(queue: string, row: StoredJobRow): JobRecord {
  const record = recordOf(queue, row, stateOf(row))
  record.finishedAt = row.completed === null ? undefined : Math.floor(row.completed)
  if (row.state === 'completed') record.result = decodeOutput(row.output)
  else if (row.output !== null) record.error = errorOf(decodeOutput(row.output))
  return record
}

/** Decodes an error. pg-boss stores the fields of an error that a handler threw, and only a message for a timeout. */
function errorOf(output: unknown): SerializedError {
  const { name = 'Error', message = '', ...rest } = (output ?? {}) as Partial<SerializedError>
  return { name, message, ...rest }
}

function stateOf({ state, due, now }: StoredJobRow): JobState {
  if (state === 'created' || state === 'retry') return due > now ? 'delayed' : 'waiting'
  return state as JobState
}
