import {
  QueueError,
  type JobRecord,
  type QueueLimits,
  type Snapshot,
  type StoredEvent,
} from '../../../../kernel/index.ts'
import type { RememberedId, StreamEnd } from '../../../adapters/lib/store-copy.ts'
import { decodeJson, encodeJson } from '../../../lib/json.ts'

/** The version of the format. Readers refuse others. */
export const FORMAT = 1

/** How much an export contains. */
export interface CopyCounts {
  streams: number
  events: number
  jobs: number
}

/**
 * The lines of an export, in this order:
 *
 * 1. `header`
 * 2. `limited`, one for each queue with limits, and `paused`, one for each paused queue
 * 3. for each stream: `events` (any number), `snapshot` (any number) and `end`, which has the checksum of the stream
 * 4. `job`, one for each job, and `remembered`, ids of removed jobs
 * 5. `total`, which shows that the export is complete
 */
export type CopyLine =
  | { header: { format: number; id: string; at: number; version: string } }
  | { limited: string; limits: QueueLimits }
  | { paused: string }
  | { stream: string; trimmed: number; events: readonly StoredEvent[] }
  | { stream: string; trimmed: number; snapshot: Snapshot }
  | { end: StreamEnd; checksum: string }
  | { job: JobRecord }
  | { remembered: readonly RememberedId[] }
  | { total: CopyCounts }

/** Returns a line as text, without members that are undefined. */
export function encodeCopyLine(line: CopyLine): string {
  if ('events' in line) return `${encodeJson({ ...line, events: line.events.map(shortEvent) })}\n`
  if ('end' in line) {
    const { run, ...end } = line.end
    return `${encodeJson({ ...line, end: { ...end, ...(run && { run: compact(run) }) } })}\n`
  }
  if ('job' in line) return `${encodeJson({ job: compactJob(line.job) })}\n`
  return `${encodeJson(line)}\n`
}

/** @throws QueueError `EXPORT_INVALID` */
export function decodeCopyLine(text: string, place: string): CopyLine {
  let line: unknown
  try {
    line = decodeJson(text)
  } catch (cause) {
    throw invalidExport(place, `expected a line of JSON; got ${JSON.stringify(text.slice(0, 40))}`, cause)
  }
  if (typeof line !== 'object' || line === null) throw invalidExport(place, 'expected an object')
  if ('events' in line && 'stream' in line) {
    const { stream, trimmed, events } = line as { stream: string; trimmed: number; events: StoredEvent[] }
    return { stream, trimmed, events: events.map((event) => longEvent(stream, event)) }
  }
  if (Object.keys(line).some((key) => KINDS.has(key))) return line as CopyLine
  throw invalidExport(
    place,
    `expected a line with one of the members ${[...KINDS].join(', ')}; got ${text.slice(0, 40)}`,
  )
}

const KINDS: ReadonlySet<string> = new Set([
  'header',
  'limited',
  'paused',
  'events',
  'snapshot',
  'end',
  'job',
  'remembered',
  'total',
])

export function invalidExport(place: string, problem: string, cause?: unknown): QueueError {
  return new QueueError('EXPORT_INVALID', `${place} is not a valid export of a store: ${problem}.`, { cause })
}

/** Leaves out the members of an event that the line contains. */
function shortEvent({ id: _id, runId: _runId, ...event }: StoredEvent): object {
  return compact(event)!
}

function longEvent(runId: string, event: StoredEvent): StoredEvent {
  const { seq, ts, type, flow, step, stepId, attempt, data, key } = event
  return { seq, id: `${runId}:${seq}`, ts, type, runId, flow, step, stepId, attempt, data, key }
}

/** The values of users in a job keep their members that are undefined. Those of the engine lose them. */
function compactJob(job: JobRecord): object {
  return compact({
    ...job,
    options: compact(job.options),
    flow: compact(job.flow),
    error: job.error && compact(job.error),
  })!
}

function compact<T extends object>(members: T | undefined): Partial<T> | undefined {
  if (members === undefined) return undefined
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Partial<T>
}
