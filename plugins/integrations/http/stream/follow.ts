import { isQueueError, type Kernel, type StoredEvent, type Unsubscribe } from '../../../../kernel/index.ts'
import type { HttpOptions } from '../options.ts'
import { problemOf } from '../problems.ts'
import type { StreamRequest } from '../routes/route.ts'
import { mayEnd } from '../run-end.ts'
import { CLOSE_GRACE, type OpenStream, type OpenStreams } from './connections.ts'
import type { Frames } from './frames.ts'
import type { StreamEndReason, Sink } from './sink.ts'
import type { RunLookup, Visibility } from './visibility.ts'

export interface Following extends StreamRequest {
  sink: Sink
  frames: Frames
  visibility: Visibility
}

export interface StreamHost {
  kernel: Kernel
  options: HttpOptions
  connections: OpenStreams
  runOf: RunLookup
}

/** A client that reads nothing is disconnected after this many heartbeats, even if its backlog is small. */
const MAX_UNREAD = 4

/** Sends a stream to a client until the stream ends, the client disconnects or is too slow, or the kernel closes. */
export function followInto(host: StreamHost, { stream, after, sink, frames, visibility }: Following): void {
  const { kernel, options, connections } = host
  const isRun = stream !== '*'
  /** The seq of the last written event of a run. */
  let last = typeof after === 'number' ? after : 0
  let over = false
  /** How many heartbeats in a row found that the client had read nothing. */
  let unread = 0
  /** Whether the run has ended while some of its events are not yet written. */
  let ending = false
  let draining: Promise<void> | undefined
  let leave: Unsubscribe | undefined

  const connection: OpenStream = {
    ping() {
      unread = sink.pending > 0 ? unread + 1 : 0
      if (unread > MAX_UNREAD) return end('slow')
      write(frames.ping)
    },
    end,
    destroy: () => sink.destroy(),
  }

  function write(frame: string | Buffer): void {
    if (over) return
    sink.write(frame)
  }

  function end(reason: StreamEndReason): void {
    if (over) return
    stop()
    sink.end(reason)
    // A client that reads nothing would keep its backlog and its socket forever.
    const cancel = kernel.clock.setTimeout(() => sink.destroy(), CLOSE_GRACE)
    sink.onClose(cancel)
  }

  function stop(): void {
    over = true
    leave?.()
    connections.remove(connection)
  }

  /** Lets a replay wait for its backlog, for two heartbeats at most. A live stream does not wait for its client. */
  function heed(): Promise<void> | undefined {
    if (over || sink.pending <= options.maxBacklog) return draining
    if (!draining) return (draining = drain())
    end('slow')
    return undefined
  }

  async function drain(): Promise<void> {
    const drained = Promise.withResolvers<void>()
    const cancel = kernel.clock.setTimeout(() => {
      end('slow')
      drained.resolve()
    }, 2 * options.heartbeat)
    sink.onDrained(drained.resolve)
    await drained.promise
    cancel()
    draining = undefined
  }

  function pass(events: readonly StoredEvent[], cursor?: string): void {
    if (over) return
    if (!isRun) {
      for (const frame of frames.events(events, cursor)) write(frame)
      return
    }
    for (const frame of frames.numbered(events)) write(frame)
    last = events.at(-1)!.seq
    if (ending || events.some(mayEnd)) void endWithRun(events.at(-1))
  }

  /** Ends the stream with its run after all events have been written. */
  async function endWithRun(event?: StoredEvent): Promise<void> {
    try {
      const run = await host.runOf(stream, event)
      if (over || !run || run.status === 'running') return
      ending = run.head > last
      if (ending) return
      write(frames.end(run.status))
      end('end')
    } catch (error) {
      fail(error)
    }
  }

  function fail(error: unknown): void {
    if (over) return
    // The client reconnects after a temporary error.
    if (isQueueError(error, 'KERNEL_CLOSED')) return end('closing')
    if (isQueueError(error)) write(frames.failure(problemOf(error, kernel.reporter)))
    else kernel.reporter.warn(`The stream of ${isRun ? `run ${stream}` : 'all runs'} broke off.`, error)
    end(isQueueError(error) ? 'end' : 'closing')
  }

  async function begin(): Promise<void> {
    if (isRun && after === undefined) {
      last = await kernel.port('events').head(stream)
      write(frames.place(last))
    }
    const unsubscribe = await kernel.streams.follow(
      stream,
      { after: isRun ? last : after },
      {
        onEvents(events, cursor) {
          if (visibility.full) return end('slow')
          const passing = visibility.events(events, (seen) => pass(seen, cursor))
          return passing ? passing.then(() => heed()) : heed()
        },
        onMessage(message, runId) {
          // Messages that are not stored are dropped instead of waiting for a slow client.
          if (sink.pending > options.maxBacklog || visibility.full) return
          void visibility.message(runId, () => write(frames.ephemeral(message, runId)))
        },
        onError: fail,
      },
    )
    if (over) return unsubscribe()
    leave = unsubscribe
    if (isRun) await endWithRun()
  }

  connections.add(connection)
  sink.onClose(stop)
  if (frames.first !== undefined) write(frames.first)
  begin().catch(fail)
}
