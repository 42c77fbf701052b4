import { createHash } from 'node:crypto'
import { isHeaders } from '../../../../kernel/index.ts'
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
import { decodeId } from './names.ts'

/** Our own part of BullMQ's `opts`, stored as `nq`. Jobs of BullMQ clients do not have it. */
interface Envelope {
  /** The id of the run. */
  r: string
  /** Options without an equivalent in BullMQ. */
  o?: StoredJobOptions
  /** The flow of the job. */
  f?: JobFlow
  /** The tags. */
  t?: readonly string[]
  /** The exact priority, if the field of the job contains a rounded one. */
  p?: number
}

interface StoredOptions {
  attempts?: number
  backoff?: number | { type: string; delay?: number; jitter?: number }
  delay?: number
  priority?: number
  /** The headers as JSON. BullMQ stores `opts.telemetry.metadata` here, which `bullmq-otel` writes and reads as JSON too. */
  tm?: string
  nq?: Envelope
}

/**
 * The fields of a job's hash that a claim reads, in this order. `USED_FIELDS` follow if the job was claimed before.
 *
 * | field | content |
 * |---|---|
 * | `name`, `data`, `opts`, `timestamp`, `priority` | as in BullMQ; `timestamp` is the creation, `priority` the negative of ours |
 * | `nq:at` | the moment at which the job is due, if it is not the creation |
 * | `atm` | attempts made |
 * | `stc` | crashes (BullMQ: stalled count) |
 * | `nq:round` | how often the job was retried manually |
 * | `ats` | claims (BullMQ: attempts started) |
 * | `nq:error` | the serialized error |
 * | `nq:lapses` | how often the lease expired although the process was alive |
 * | `nq:promoted` | the claim during which the job was promoted |
 * | `nq:ended` | present if the job failed; a retry by a BullMQ client leaves it there |
 * | `nq:fair` | what stands for the fair key of the job, and how much of a turn the job takes |
 * | `nq:known` | the run of the job, if a caller chose its id |
 */
export const FRESH_FIELDS = ['name', 'data', 'opts', 'timestamp', 'priority', 'nq:at'] as const
export const USED_FIELDS = ['atm', 'stc', 'progress', 'nq:round'] as const
/** The fields of a job that may have ended. */
export const ALL_FIELDS = [
  ...FRESH_FIELDS,
  ...USED_FIELDS,
  ...['ats', 'processedOn', 'finishedOn', 'returnvalue', 'failedReason', 'nq:error', 'nq:lapses'],
] as const

type Fields = readonly (string | null | undefined)[]

/** Priorities up to this value are exact. Beyond it, close priorities may become equal. */
const EXACT_PRIORITY = 2 ** 20

/** Encodes a priority. In BullMQ, smaller numbers are more urgent, and jobs without a priority come first. Ours become negative. */
export function encodePriority(priority: number): number {
  const size = Math.abs(priority)
  if (size <= EXACT_PRIORITY) return priority === 0 ? 0 : -priority
  return -Math.sign(priority) * (EXACT_PRIORITY + Math.log2(size / EXACT_PRIORITY))
}

/** Encodes data like BullMQ. Absent data is an empty text. */
export function encodeData(data: unknown): string {
  return data === undefined ? '' : encodeJson(data)
}

export function encodeOptions({ runId, options, priority, flow, tags, headers, createdAt, runAt }: JobDraft): string {
  const { attempts, backoff, ...others } = options
  const envelope: Envelope = { r: runId, f: flow }
  for (const _any in others) {
    envelope.o = others
    break
  }
  if (tags) envelope.t = tags
  if (Math.abs(priority) > EXACT_PRIORITY) envelope.p = priority
  const delay = runAt > createdAt ? runAt - createdAt : undefined
  const tm = headers && JSON.stringify(headers)
  return JSON.stringify({ attempts, backoff, delay, tm, nq: envelope } satisfies StoredOptions)
}

/** Returns what is remembered of a removed job: the part of its options that contains its run. */
export function encodeKnown({ runId }: Pick<JobDraft, 'runId'>): string {
  return JSON.stringify({ nq: { r: runId } } satisfies StoredOptions)
}

/** Returns the run of a stored job. The run of a BullMQ client's job is derived from its queue and id. */
export function runIdOf(queue: string, storedId: string, options: string): string {
  return (JSON.parse(options) as StoredOptions).nq?.r ?? foreignRunId(queue, storedId)
}

function foreignRunId(queue: string, storedId: string): string {
  return createHash('sha256')
    .update(JSON.stringify([queue, storedId]))
    .digest('hex')
    .slice(0, 32)
}

function decodeOptions({ attempts, backoff, nq }: StoredOptions): StoredJobOptions {
  const options: StoredJobOptions = { ...nq?.o }
  if (attempts !== undefined && attempts > 0) options.attempts = attempts
  if (backoff !== undefined) options.backoff = decodeBackoff(backoff)
  return options
}

/** Decodes a backoff. A custom strategy of a BullMQ worker is unknown here, so only its delay is used. */
function decodeBackoff(backoff: NonNullable<StoredOptions['backoff']>): number | Backoff {
  if (typeof backoff === 'number') return backoff
  if (backoff.type === 'fixed' || backoff.type === 'exponential')
    return { ...backoff, delay: backoff.delay ?? 0 } as Backoff
  return backoff.delay ?? 0
}

/** Decodes the hash of a claimed job. The caller sets the values of the current claim. */
export function decodeClaimed(queue: string, storedId: string, fields: Fields): JobRecord {
  const [name, data, opts, timestamp, priority, at, failed, crashes, progress, round] = fields
  const options = JSON.parse(opts || '{}') as StoredOptions
  const createdAt = Number(timestamp)
  const { nq } = options
  return {
    id: decodeId(storedId),
    queue,
    name: name ?? '',
    data: data ? readValue(data) : undefined,
    runId: nq?.r ?? foreignRunId(queue, storedId),
    options: decodeOptions(options),
    priority: nq?.p ?? 0 - Number(priority ?? 0),
    createdAt,
    runAt: at ? Number(at) : createdAt + (nq ? 0 : (options.delay ?? 0)),
    flow: nq?.f,
    tags: nq?.t,
    headers: options.tm === undefined ? undefined : decodeHeaders(options.tm),
    state: 'active',
    attemptsMade: Number(failed ?? 0),
    claims: 0,
    crashes: Number(crashes ?? 0),
    round: Number(round ?? 0),
    startedAt: undefined,
    finishedAt: undefined,
    progress: readProgress(progress),
    result: undefined,
    error: undefined,
  }
}

export function decodeJob(queue: string, storedId: string, state: JobState, fields: Fields): JobRecord {
  const record = decodeClaimed(queue, storedId, fields)
  const [claims, startedAt, finishedAt, returned, reason, error, lapses] = fields.slice(
    FRESH_FIELDS.length + USED_FIELDS.length,
  )
  record.state = state
  record.claims = Number(claims ?? 0)
  if (startedAt) record.startedAt = Number(startedAt)
  if (finishedAt) record.finishedAt = Number(finishedAt)
  if (lapses) record.lapses = Number(lapses)
  // BullMQ counts the successful attempt as well. We count failed attempts only.
  if (state === 'completed') record.attemptsMade = Math.max(0, record.attemptsMade - 1)
  if (state === 'completed' && returned) record.result = readValue(returned)
  if (error) record.error = JSON.parse(error) as SerializedError
  else if (state === 'failed' && reason) record.error = { name: 'Error', message: reason }
  return record
}

/** Returns headers. A BullMQ client may have stored other metadata, which is not headers. */
function decodeHeaders(text: unknown): Readonly<Record<string, string>> | undefined {
  const value = typeof text === 'string' ? readValue(text) : undefined
  return isHeaders(value) ? value : undefined
}

/** Parses a stored value. A BullMQ worker may store text that is not JSON. */
function readValue(text: string): unknown {
  try {
    return decodeJson(text)
  } catch {
    return text
  }
}

function readProgress(text: string | null | undefined): number | undefined {
  const value = text ? readValue(text) : undefined
  return typeof value === 'number' ? value : undefined
}
