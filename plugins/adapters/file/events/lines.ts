import type { EventDraft, RunInfo, Snapshot, StoredEvent } from '../../../../kernel/index.ts'
import type { JournalLine } from '../../lib/folder/disk.ts'
import { isJson } from '../../../lib/json.ts'
import type { LocalEvents, StoredChange } from '../../lib/local-events/store.ts'
import type { Stream } from '../../lib/local-events/stream.ts'

/*
 * Lines of the journal, after the header:
 *
 *   { "stream", "seq", "ts", "events": [ … ], "run"?, "reopen"?, "fence"? }   one append
 *   { "stream", "snapshot": { "reducer", "seq", "state" } }
 *   { "stream", "trimmed": 12 }                                             the events up to there are gone
 *   { "expired": [ "<stream>", … ] }
 *   { "stream", "memory": { … }, "info"? }                                  start of a stream when compacted
 */
type Line = Record<string, unknown>

/** How many events a line holds at most when the journal is compacted. */
const EVENTS_A_LINE = 500

export const linesOf = {
  change(stream: string, { seq, ts, events, run, reopen, fence }: StoredChange): JournalLine {
    const line = { stream, seq, ts, events: events.map(draftOf), run, reopen: reopen || undefined, fence }
    // JSON leaves out what is not set by itself, and this is written for each event that there is.
    if (events.every(({ data }) => data === undefined || isJson(data))) return JSON.stringify(line)
    return { ...line, events: line.events.map(compact), run: run && compact(run) }
  },
  snapshot: (stream: string, snapshot: Snapshot): JournalLine => ({ stream, snapshot }),
}

/** What a compacted journal holds of a stream. */
export function* snapshotLines(stream: Stream): Generator<JournalLine> {
  const { name, memory, events, info, snapshots = [] } = stream
  yield { stream: name, memory, info: info && compact(info) }
  for (let from = 0; from < events.length;) {
    let to = from + 1
    while (to < events.length && to - from < EVENTS_A_LINE && events[to]!.ts === events[from]!.ts) to++
    const { seq, ts } = events[from]!
    yield { stream: name, seq, ts, events: events.slice(from, to).map((event) => compact(draftOf(event))) }
    from = to
  }
  for (const snapshot of snapshots) yield linesOf.snapshot(name, snapshot)
}

/** Takes lines in, in the order in which they were written. */
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

/** What is not told by the line around it. */
function draftOf({ type, data, key, flow, step, stepId, attempt }: EventDraft | StoredEvent): Line {
  return { type, flow, step, stepId, attempt, key, data }
}

/** Members that are not set say nothing. */
function compact(members: object): Line {
  const line: Line = {}
  for (const [key, value] of Object.entries(members)) if (value !== undefined) line[key] = value
  return line
}
