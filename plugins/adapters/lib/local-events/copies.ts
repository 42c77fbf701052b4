import { QueueError, type RunInfo } from '../../../../kernel/index.ts'
import { cloneValue } from '../../../lib/value.ts'
import type { EventCopies, StreamEnd, StreamPart } from '../store-copy.ts'
import { Stream } from './stream.ts'

/** How many names one page contains. */
const PAGE = 500

interface Host {
  streams: {
    get(name: string): Stream | undefined
    set(name: string, stream: Stream): unknown
    values(): Iterable<Stream>
  }
  /** Makes a stream a run, or changes its run. */
  setRun(stream: Stream, run: RunInfo): void
  /** Called when the copy of a stream is complete. A durable adapter records the whole stream. */
  copied?(stream: Stream): void
}

/** Creates the port `eventCopies` of a store that keeps its streams in memory. */
export function createLocalCopies({ streams, setRun, copied }: Host): EventCopies {
  function endOf({ name, head, memory, info }: Stream): StreamEnd {
    const { trimmed, fences, keys } = memory
    const run = info && cloneValue({ ...info, head })
    return { stream: name, head, trimmed, fences, keys, ...(run && { run }) }
  }

  function streamOf({ stream: name, trimmed }: StreamPart): Stream {
    const known = streams.get(name)
    if (known) return known
    const stream = new Stream(name)
    stream.recall({ trimmed, keys: [], fences: [], ts: 0 })
    streams.set(name, stream)
    return stream
  }

  function write(part: StreamPart): void {
    const stream = streamOf(part)
    for (const event of part.events) stream.push([event], [cloneValue(event.data)], event.ts)
    for (const snapshot of part.snapshots ?? []) stream.keep({ ...snapshot, state: cloneValue(snapshot.state) })
    if (!part.end) return
    const { run, fences, keys } = part.end
    stream.recall({ ...stream.memory, keys: [...keys], fences: fences.map(([job, token]) => [job, token]) })
    if (run) setRun(stream, { ...run, head: stream.head })
    copied?.(stream)
  }

  return {
    async *streams() {
      const names = Array.from(streams.values(), ({ name }) => name)
      for (let from = 0; from < names.length; from += PAGE) yield names.slice(from, from + PAGE)
    },
    end(name) {
      const stream = streams.get(name)
      return stream && endOf(stream)
    },
    events: (name, after, limit) => streams.get(name)?.read({ after, limit }) ?? [],
    snapshots: (name) => cloneValue(streams.get(name)?.snapshots ?? []),
    write(parts) {
      for (const { stream, trimmed, events } of parts) {
        const head = streams.get(stream)?.head ?? trimmed
        if (events.length > 0 && events[0]!.seq !== head + 1) throw outOfPlace(stream, events[0]!.seq, head)
      }
      for (const part of parts) write(part)
    },
  }
}

/** The error for a part that does not follow the events of its stream. */
export function outOfPlace(stream: string, seq: number, head: number): QueueError {
  const message = `The events of stream "${stream}" were not copied: expected seq ${head + 1}; got ${seq}.`
  return new QueueError('EVENTS_CONFLICT', `${message} Another process writes to the stream.`)
}
