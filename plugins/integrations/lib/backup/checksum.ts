import { createHash } from 'node:crypto'
import type { JobRecord, Snapshot, StoredEvent } from '../../../../kernel/index.ts'
import type { EventCopies, StreamEnd } from '../../../adapters/lib/store-copy.ts'
import { encodeJson } from '../../../lib/json.ts'

/** How many events are read at once. */
export const EVENTS_PER_READ = 200

/** Computes the checksum of a stream from its parts: its events in order, then its snapshots, then its end. */
export function createStreamChecksum() {
  const hash = createHash('sha256')
  const add = (value: unknown): void => void hash.update(`${encodeJson(value)}\n`)
  return {
    event({ seq, ts, type, key, flow, step, stepId, attempt, data }: StoredEvent): void {
      const members = [seq, ts, type, key, flow, step, stepId, attempt].map((member) => member ?? null)
      add(data === undefined ? members : [...members, data])
    },
    snapshot: ({ reducer, seq, state }: Snapshot): void => add([seq, reducer, state ?? null]),
    end({ head, trimmed, run, fences, keys }: StreamEnd): string {
      add([head, trimmed, [...keys].toSorted(), fences.map(([job, token]) => `${token} ${job}`).toSorted()])
      if (run) {
        const { status, name, queue, jobId, flow, tags = [], startedAt, updatedAt, endedAt } = run
        add([status, name, queue ?? null, jobId ?? null, flow ?? null, tags, startedAt, endedAt ?? updatedAt])
      }
      return hash.digest('base64url')
    },
  }
}

/** Returns the checksum of a stored stream, or `undefined` if there is no such stream. */
export async function checksumOf(copies: EventCopies, stream: string): Promise<string | undefined> {
  const end = await copies.end(stream)
  if (!end) return undefined
  const checksum = createStreamChecksum()
  for (let after = end.trimmed; after < end.head;) {
    const events = await copies.events(stream, after, EVENTS_PER_READ)
    if (events.length === 0) break
    for (const event of events) if (event.seq <= end.head) checksum.event(event)
    after = events.at(-1)!.seq
  }
  for (const snapshot of sortSnapshots(await copies.snapshots(stream))) checksum.snapshot(snapshot)
  return checksum.end(end)
}

/** Stores return the snapshots of one `seq` in any order. */
export function sortSnapshots(snapshots: readonly Snapshot[]): Snapshot[] {
  return snapshots.toSorted((a, b) => a.seq - b.seq || (a.reducer < b.reducer ? -1 : 1))
}

/** Returns text that is equal for two records of the same job in different stores. */
export function jobChecksum(job: JobRecord): string {
  const { id, queue, name, data, runId, options, priority, createdAt, runAt, flow, tags, headers, state } = job
  const { attemptsMade, claims, crashes, lapses = 0, round, startedAt, finishedAt, progress, result, error } = job
  const ended = finishedAt !== undefined
  const identity = [
    queue,
    id,
    name,
    runId,
    priority,
    createdAt,
    tags ?? [],
    plain(options),
    plain(flow),
    plain(headers),
  ]
  const moments = [ended ? state : Math.max(runAt, createdAt), claims > 0 ? startedAt : 0, finishedAt ?? 0]
  const end = state === 'completed' ? [sorted(result)] : [plain(error)]
  const counts = [attemptsMade, claims, crashes, lapses, round, progress ?? null]
  return createHash('sha256')
    .update(encodeJson([identity, moments, counts, end, sorted(data)]))
    .digest('base64url')
}

/** Some stores keep the members of objects in another order. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (value === null || typeof value !== 'object' || Object.getPrototypeOf(value) !== Object.prototype) return value
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(entries.map(([key, member]) => [key, sorted(member)]))
}

/** Members that are undefined are not stored in values of the engine. */
function plain(value: object | undefined): unknown {
  return value === undefined ? null : sorted(JSON.parse(JSON.stringify(value)))
}
