import type { EventDraft, RunInfo, Snapshot, StoredEvent } from '../../../../kernel/index.ts'
import type { JournalLine } from '../../lib/folder/disk.ts'
import { isJson } from '../../../lib/json.ts'
import type { LocalEvents, StoredChange } from '../../lib/local-events/store.ts'
import type { Stream } from '../../lib/local-events/stream.ts'

/*
 * The lines of the journal, after the header:
 *
 *   { "stream", "seq", "ts", "events": [ … ], "run"?, "reopen"?, "fence"? }   one append
 *   { "stream", "snapshot": { "reducer", "seq", "state" } }                   a snapshot was stored
 *   { "stream", "trimmed": 12 }                                               the events up to seq 12 were dropped
 *   { "expired": [ "<stream>", … ] }                                          streams were deleted
 *   { "stream", "memory": { … }, "info"? }                                    a stream starts, in a compacted journal
 */
type Line = Record<string, unknown>

/** The maximum number of events in a line of a compacted journal. */
const EVENTS_PER_LINE = 500

export const linesOf = {
  change(stream: string, { seq, ts, events, run, reopen, fence }: StoredChange): JournalLine {
    const line = { stream, seq, ts, events: events.map(draftOf), run, reopen: reopen || undefined, fence }
    // This runs for each event. `JSON.stringify` omits undefined members by itself and is faster than the general case.
    if (events.every(({ data }) => data === undefined || isJson(data))) return JSON.stringify(line)
    return { ...line, events: line.events.map(compact), run: run && compact(run) }
  },
  snapshot: (stream: string, snapshot: Snapshot): JournalLine => ({ stream, snapshot }),
}

/** Yields the lines that a compacted journal contains for a stream. */
export function* snapshotLines(stream: Stream): Generator<JournalLine> {
  const { name, memory, events, info, snapshots = [] } = stream
  yield { stream: name, memory, info: info && compact(info) }
  for (let from = 0; from < events.length;) {
    let to = from + 1
    while (to < events.length && to - from < EVENTS_PER_LINE && events[to]!.ts === events[from]!.ts) to++
    const { seq, ts } = events[from]!
    yield { stream: name, seq, ts, events: events.slice(from, to).map((event) => compact(draftOf(event))) }
    from = to
  }
  for (const snapshot of snapshots) yield linesOf.snapshot(name, snapshot)
}

/** Returns a function that restores lines. Call it with the lines in the order in which they were written. */
export function createReader(restore: LocalEvents['restore']): (line: Line) => void {
  return (line) => {
    if (Array.isArray(line.expired)) return restore.expired(line.expired as string[])
    if (typeof line.stream !== 'string') return
    const { stream } = line
    if (line.memory) {
      const info = line.info as RunInfo | undefined
      restore.stream(stream, line.memory as Stream['memory'], info)
    } else if (line.snapshot) restore.snapshot(stream, line.snapshot as Snapshot)
    else if (typeof line.trimmed === 'number') restore.trimmed(stream, line.trimmed)
    else restore.change(stream, line as unknown as StoredChange)
  }
}

/** Returns the members of an event that the surrounding line does not contain. */
function draftOf({ type, data, key, flow, step, stepId, attempt }: EventDraft | StoredEvent): Line {
  return { type, flow, step, stepId, attempt, key, data }
}

/** Omits members that are undefined. */
function compact(members: object): Line {
  const line: Line = {}
  for (const [key, value] of Object.entries(members)) if (value !== undefined) line[key] = value
  return line
}
