import { createHash } from 'node:crypto'
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

/** What BullMQ's `opts` carry of ours beside its own. Its presence tells our jobs from foreign ones. */
interface Envelope {
  /** The run. */
  r: string
  /** Options that BullMQ has no equal for. */
  o?: StoredJobOptions
  f?: JobFlow
  /** The priority, where the field of the job holds a rounded one. */
  p?: number
}

interface StoredOptions {
  attempts?: number
  backoff?: number | { type: string; delay?: number; jitter?: number }
  delay?: number
  priority?: number
  nq?: Envelope
}

/** The fields of a job's hash that a claim reads, in this order; and behind them what only a job has that was claimed before. */
export const FRESH_FIELDS = ['name', 'data', 'opts', 'timestamp', 'priority', 'nq:at'] as const
export const USED_FIELDS = ['atm', 'stc', 'progress', 'nq:round'] as const
/** What is read of a job that may have ended. */
export const ALL_FIELDS = [
  ...FRESH_FIELDS,
  ...USED_FIELDS,
  ...['ats', 'processedOn', 'finishedOn', 'returnvalue', 'failedReason', 'nq:error', 'nq:lapses'],
] as const

type Fields = readonly (string | null | undefined)[]

/** Up to here priorities are exact; beyond, those that are close to each other may count as one. */
const EXACT_PRIORITY = 2 ** 20

/** In BullMQ the smaller number is the more urgent, and none comes before all: ours fit in as negative ones. */
export function encodePriority(priority: number): number {
  const size = Math.abs(priority)
  if (size <= EXACT_PRIORITY) return priority === 0 ? 0 : -priority
  return -Math.sign(priority) * (EXACT_PRIORITY + Math.log2(size / EXACT_PRIORITY))
}

/** Data as BullMQ writes it; nothing at all where there is none. */
export function encodeData(data: unknown): string {
  return data === undefined ? '' : encodeJson(data)
}

export function encodeOptions({ runId, options, priority, flow, createdAt, runAt }: JobDraft): string {
  const { attempts, backoff, ...others } = options
  const envelope: Envelope = { r: runId, f: flow }
  for (const _any in others) {
    envelope.o = others
    break
  }
  if (Math.abs(priority) > EXACT_PRIORITY) envelope.p = priority
  const delay = runAt > createdAt ? runAt - createdAt : undefined
  return JSON.stringify({ attempts, backoff, delay, nq: envelope } satisfies StoredOptions)
}

/** What stays known of a job that is forgotten: enough of its options to tell its run. */
export function encodeKnown({ runId }: JobDraft): string {
  return JSON.stringify({ nq: { r: runId } } satisfies StoredOptions)
}

/** The run a stored job belongs to. A foreign one has a run of its own, the same whoever asks. */
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

/** A strategy of a foreign worker's own is not known here: its delay is. */
function decodeBackoff(backoff: NonNullable<StoredOptions['backoff']>): number | Backoff {
  if (typeof backoff === 'number') return backoff
  if (backoff.type === 'fixed' || backoff.type === 'exponential')
    return { ...backoff, delay: backoff.delay ?? 0 } as Backoff
  return backoff.delay ?? 0
}

/** A job as its hash tells it, before the claim at hand. */
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
  // BullMQ counts the attempt that succeeded, we count those that failed.
  if (state === 'completed') record.attemptsMade = Math.max(0, record.attemptsMade - 1)
  if (state === 'completed' && returned) record.result = readValue(returned)
  if (error) record.error = JSON.parse(error) as SerializedError
  else if (state === 'failed' && reason) record.error = { name: 'Error', message: reason }
  return record
}

/** Foreign workers write what they like. */
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
