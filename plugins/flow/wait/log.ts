import { isQueueError, type Kernel, type StoredEvent } from '../../../kernel/index.ts'

/** The number of events in one read. */
const PAGE = 200
/** A log has no state to keep, so one snapshot that covers every possible `seq` lets any event be trimmed. */
const COVERS_ALL = { reducer: 'wait.log', seq: 2 ** 31 - 1, state: null }

/** The stored part of an event. */
export interface SentEvent {
  id: string
  payload: unknown
  /** Text that travels with the event. Absent if there is none. */
  headers?: Readonly<Record<string, string>>
}

/** A stored event. */
export interface StoredWaitEvent extends SentEvent {
  seq: number
  /** The moment at which it was stored, in milliseconds since the epoch. */
  at: number
}

/** A position in a log. The moment is part of it because a log may be removed and started again at `seq` 1. */
export interface LogPosition {
  seq: number
  at: number
}

/** Selects an event of a log. */
export interface EventSearch {
  /** The first and the last moment that count, in milliseconds since the epoch. */
  since: number
  until: number
  /** Only events after this position count, because an earlier wait has taken the event at this position. */
  behind?: LogPosition
  /** An earlier search found no match up to this `seq`. */
  after?: number
  matches: (payload: unknown) => boolean
}

/**
 * Stores the events of each name and key in streams that are not runs. These streams have no reducer: a search starts at
 * the first moment that counts.
 */
export function createEventLog(kernel: Kernel) {
  const store = () => kernel.port('events')

  /** Returns the events after a `seq`, or after the trimmed events. */
  async function readAfter(log: string, after: number, limit = PAGE): Promise<StoredEvent[]> {
    try {
      return await store().read(log, { after, limit })
    } catch (error) {
      if (!isQueueError(error, 'EVENTS_TRIMMED')) throw error
      return readAfter(log, Number(error.details?.trimmed), limit)
    }
  }

  /** Returns a `seq` up to which all events are older than a moment. The first newer event is less than a page further on. */
  async function seqBefore(log: string, moment: number): Promise<number> {
    const [first] = await readAfter(log, 0, 1)
    if (!first || first.ts >= moment) return first ? first.seq - 1 : 0
    let [low, high] = [first.seq, await store().head(log)]
    while (high - low > PAGE) {
      const middle = Math.floor((low + high) / 2)
      const [event] = await readAfter(log, middle - 1, 1)
      if (event && event.ts < moment) low = event.seq
      else high = middle
    }
    return low
  }

  return {
    /** Stores an event and returns its `seq`. It is 1 for the first event of the log. */
    async append(log: string, data: SentEvent): Promise<number> {
      const result = await kernel.emit(log, [{ type: 'wait.event', data }])
      return result.head
    },

    /** Returns the first event that matches, and the range that was searched without a match. */
    async find(
      log: string,
      { since, until, behind, after, matches }: EventSearch,
    ): Promise<{ event?: StoredWaitEvent; from: number; passed: LogPosition }> {
      const from = after ?? (await seqBefore(log, since))
      let passed: LogPosition = { seq: from, at: since }
      for (;;) {
        const events = await readAfter(log, passed.seq)
        for (const { seq, ts: at, data } of events) {
          if (at > until) return { from, passed }
          const event = data as SentEvent
          const taken = behind && seq <= behind.seq && at <= behind.at
          if (at >= since && !taken && matches(event.payload)) return { event: { ...event, seq, at }, from, passed }
          passed = { seq, at }
        }
        if (events.length < PAGE) return { from, passed }
      }
    },

    /** Whether one of the newest events has the id. A process may store an event again without knowing that it is already stored. */
    async has(log: string, id: string): Promise<boolean> {
      const head = await store().head(log)
      const newest = await readAfter(log, Math.max(0, head - PAGE))
      return newest.some(({ data }) => (data as StoredWaitEvent).id === id)
    },

    /**
     * Drops events that are older than a moment.
     *
     * @returns the newest `seq`. `old` is true when all events are older, so that the whole log can be removed.
     * `undefined` when the log is empty
     */
    async trim(log: string, before: number): Promise<{ head: number; old: boolean } | undefined> {
      const head = await store().head(log)
      if (head === 0) return undefined
      const [newest] = await readAfter(log, head - 1)
      if (newest && newest.ts < before) return { head: newest.seq, old: true }
      const rough = await seqBefore(log, before)
      const kept = (await readAfter(log, rough)).find(({ ts }) => ts >= before)
      const cut = kept ? kept.seq - 1 : rough
      if (cut > 0) {
        await store().snapshots.put(log, COVERS_ALL)
        await store().trim(log, cut)
      }
      return { head, old: false }
    },
  }
}
export type EventLog = ReturnType<typeof createEventLog>
