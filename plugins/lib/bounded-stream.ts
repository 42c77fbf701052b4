import {
  isQueueError,
  type AppendOptions,
  type AppendResult,
  type EventDraft,
  type Kernel,
  type ReadOptions,
  type StoredEvent,
} from '../../kernel/index.ts'

/** A snapshot that covers every possible `seq`. Bounded streams have no state, so any event may be trimmed. */
const COVERS_ALL = { reducer: 'bounded', seq: 2 ** 31 - 1, state: null }

/** Drops the events of a stream up to a `seq`. Only for streams without state. */
export async function trimStream(kernel: Pick<Kernel, 'port'>, stream: string, seq: number): Promise<void> {
  await kernel.port('events').snapshots.put(stream, COVERS_ALL)
  await kernel.port('events').trim(stream, seq)
}

/** Reads a stream whose oldest events may be trimmed, from its oldest remaining event. */
export async function readKept(
  kernel: Pick<Kernel, 'port'>,
  stream: string,
  options: ReadOptions,
): Promise<StoredEvent[]> {
  for (let { after = 0 } = options; ;) {
    try {
      return await kernel.port('events').read(stream, { ...options, after })
    } catch (error) {
      if (!isQueueError(error, 'EVENTS_TRIMMED')) throw error
      after = error.details!.trimmed as number
    }
  }
}

/** The number of events in one read. */
const PAGE = 500

/**
 * Returns a function that applies the events that were appended to a stream since its last call, and resolves with the `seq` of the
 * last applied event. Only one call reads at a time. All calls that arrive in the meantime share the next read.
 */
export function createCatchUp(
  kernel: Pick<Kernel, 'port'>,
  stream: string,
  apply: (events: readonly StoredEvent[]) => void,
): () => Promise<number> {
  let seq = 0
  let last: Promise<number> = Promise.resolve(0)
  let next: Promise<number> | undefined

  async function forward(): Promise<number> {
    for (let more = true; more;) {
      const page = await readKept(kernel, stream, { after: seq, limit: PAGE })
      apply(page)
      seq = page.at(-1)?.seq ?? seq
      more = page.length === PAGE
    }
    return seq
  }

  return () => {
    if (next) return next
    next = last
      .catch(() => 0)
      .then(() => {
        next = undefined
        return forward()
      })
    last = next
    return next
  }
}

export interface BoundedStream {
  /** Appends an event, and trims the oldest events when the stream has grown by a tenth of `keep`. */
  append(stream: string, event: EventDraft, options?: AppendOptions): Promise<AppendResult>
  /** Returns up to `limit` of the newest events, newest first. */
  newest(stream: string, limit: number): Promise<StoredEvent[]>
}

/**
 * Creates streams that keep the newest `keep` events, plus at most a tenth more. Events must not have
 * keys, because a key is remembered after its event has been trimmed.
 */
export function createBoundedStream(kernel: Pick<Kernel, 'emit' | 'port'>, keep: number): BoundedStream {
  const every = Math.max(1, Math.floor(keep / 10))

  return {
    async append(stream, event, options) {
      const result = await kernel.emit(stream, [event], options)
      // Each `seq` is assigned once, so only one instance trims.
      if (!result.ok || result.head <= keep || result.head % every !== 0) return result
      await trimStream(kernel, stream, result.head - keep)
      return result
    },
    async newest(stream, limit) {
      const head = await kernel.port('events').head(stream)
      for (let span = Math.min(limit, keep); ; span = Math.floor(span / 2)) {
        try {
          return await kernel.port('events').read(stream, { after: Math.max(0, head - span), reverse: true, limit })
        } catch (error) {
          // Another instance has trimmed in the meantime, or keeps fewer events.
          if (span === 0 || !isQueueError(error, 'EVENTS_TRIMMED')) throw error
        }
      }
    },
  }
}
