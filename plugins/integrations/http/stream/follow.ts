import { isQueueError, type Kernel, type StoredEvent, type Unsubscribe } from '../../../../kernel/index.ts'
import type { HttpOptions } from '../options.ts'
import { problemOf } from '../problems.ts'
import type { StreamRequest } from '../routes/route.ts'
import { mayEnd } from '../run-end.ts'
import { GRACE, type Connection, type Connections } from './connections.ts'
import type { Frames } from './frames.ts'
import type { Ending, Sink } from './sink.ts'
import type { RunLookup, Visibility } from './visibility.ts'

export interface Following extends StreamRequest {
  sink: Sink
  frames: Frames
  visibility: Visibility
}

export interface StreamHost {
  kernel: Kernel
  options: HttpOptions
  connections: Connections
  runOf: RunLookup
}

/** A client that has taken nothing for so many signs of life is let go, however little it is behind. */
const MAX_UNREAD = 4

/** Feeds one client with a stream, until that has ended, the client goes or does not keep up, or the kernel closes. */
export function followInto(host: StreamHost, { stream, after, sink, frames, visibility }: Following): void {
  const { kernel, options, connections } = host
  const isRun = stream !== '*'
  /** Of a run: the seq of the last event that was written. */
  let last = typeof after === 'number' ? after : 0
  let over = false
  /** How many signs of life in a row have found that the client had not taken what came before. */
  let unread = 0
  /** The run has ended, and events of it are still to come. */
  let ending = false
  let draining: Promise<void> | undefined
  let leave: Unsubscribe | undefined

  const connection: Connection = {
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

  function end(reason: Ending): void {
    if (over) return
    stop()
    sink.end(reason)
    // One that takes nothing would keep what was written for it, and its socket, for ever.
    const cancel = kernel.clock.setTimeout(() => sink.destroy(), GRACE)
    sink.onClose(cancel)
  }

  function stop(): void {
    over = true
    leave?.()
    connections.remove(connection)
  }

  /** While there is a backlog a replay waits, at the most for two heartbeats; a live stream goes on without its client. */
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

  /** Ends the stream with its run, once all of it has been written. */
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
    // Whatever mends itself is mended by connecting again.
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
          // What is stored nowhere is worth no backlog.
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
