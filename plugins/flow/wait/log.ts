import { isQueueError, type Kernel, type StoredEvent } from '../../../kernel/index.ts'

/** How many events are read at once. */
const PAGE = 200
/** A log has no state, so that whatever it holds may go: said once, for every `seq` there can be. */
const COVERS_ALL = { reducer: 'wait.log', seq: 2 ** 31 - 1, state: null }

/** An event as it was filed. */
export interface Filed {
  id: string
  payload: unknown
  seq: number
  /** Milliseconds since the epoch at which it was filed. */
  at: number
}

/** Where a wait goes on, in a log that may have been forgotten and begun anew since. */
export interface Place {
  seq: number
  at: number
}

/** Which event of a log is looked for. */
export interface Sought {
  /** Milliseconds since the epoch, the first and the last moment that count. */
  since: number
  until: number
  /** An earlier wait has taken this one. */
  behind?: Place
  /** An earlier look has passed over all up to this `seq`. */
  after?: number
  meant: (payload: unknown) => boolean
}

/**
 * The events of each name and key, in streams that are no runs. Nothing folds them: whoever looks for one begins at the
 * moment that it counts from.
 */
export function createEventLog(kernel: Kernel) {
  const store = () => kernel.port('events')

  /** Events behind a `seq`, or behind what was trimmed. */
  async function readAfter(log: string, after: number, limit = PAGE): Promise<StoredEvent[]> {
    try {
      return await store().read(log, { after, limit })
    } catch (error) {
      if (!isQueueError(error, 'EVENTS_TRIMMED')) throw error
      return readAfter(log, Number(error.details?.trimmed), limit)
    }
  }

  /** A `seq` up to which all events are older than a moment, less than a page before the first one that is not. */
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
    /** Answers the `seq`; 1 for the first event of the log. */
    async append(log: string, data: Pick<Filed, 'id' | 'payload'>): Promise<number> {
      const result = await kernel.emit(log, [{ type: 'wait.event', data }])
      return result.head
    },

    /** The first event that is meant; and from where on, and up to where, nothing was. */
    async find(
      log: string,
      { since, until, behind, after, meant }: Sought,
    ): Promise<{ event?: Filed; from: number; passed: Place }> {
      const from = after ?? (await seqBefore(log, since))
      let passed: Place = { seq: from, at: since }
      for (;;) {
        const events = await readAfter(log, passed.seq)
        for (const { seq, ts: at, data } of events) {
          if (at > until) return { from, passed }
          const { id, payload } = data as Pick<Filed, 'id' | 'payload'>
          const taken = behind && seq <= behind.seq && at <= behind.at
          if (at >= since && !taken && meant(payload)) return { event: { id, payload, seq, at }, from, passed }
          passed = { seq, at }
        }
        if (events.length < PAGE) return { from, passed }
      }
    },

    /** Whether one of the newest events has the id: filed again by whoever did not know that it had been. */
    async has(log: string, id: string): Promise<boolean> {
      const head = await store().head(log)
      const newest = await readAfter(log, Math.max(0, head - PAGE))
      return newest.some(({ data }) => (data as Filed).id === id)
    },

    /**
     * Drops what is older than a moment.
     *
     * @returns the newest event, where all of the log is older: it can be forgotten whole; `undefined` where it is empty
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
