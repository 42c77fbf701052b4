import { isQueueError, type ReadOptions, type Reporter, type StoredEvent } from '../../../../kernel/index.ts'

export interface Reads {
  read(stream: string, options: ReadOptions): Promise<StoredEvent[]>
  head(stream: string): Promise<number>
}

type Deliver = (events: readonly StoredEvent[]) => void

interface Listener {
  deliver: Deliver
  /** The `seq` of the last delivered event. */
  cursor: number
  /** True while it reads older events by itself. It joins the other listeners when it has caught up with them. */
  replaying: boolean
  left: boolean
}

/** The maximum number of events in one delivery. */
const STEP = 500
/** How long to wait after a failed read, in milliseconds. */
const RETRY = 500

export type Follower = ReturnType<typeof createFollower>

/**
 * Follows one stream for all its listeners in this process. It reads events after its cursor when it is woken.
 *
 *     listener:  replaying ── caught up with the others ──> live ── unsubscribed ──> left
 *     follower:  idle ── wake(seq) with seq > cursor ──> pumping ── cursor reached `wanted` ──> idle
 */
export function createFollower(stream: string, { read, head }: Reads, reporter: Reporter) {
  const listeners = new Set<Listener>()
  let cursor = Infinity
  let wanted = 0
  let pumping = false
  let adding = 0
  let stopped = false
  let reported = false

  function deliverTo(listener: Listener, events: readonly StoredEvent[]): void {
    const fresh = events.filter(({ seq }) => seq > listener.cursor)
    if (fresh.length === 0 || listener.left) return
    listener.cursor = fresh.at(-1)!.seq
    listener.deliver(fresh)
  }

  /** Reports a failed read once, however often it is repeated. */
  function report(error: unknown): void {
    if (!reported) reporter.error(`Run ${stream} could not be read for its subscribers. The read is repeated.`, error)
    reported = true
  }

  /** Reads the events after a `seq`. If events were trimmed before they could be read, it continues after them. */
  async function readAfter(after: number): Promise<{ from: number; events: readonly StoredEvent[] }> {
    try {
      const events = await read(stream, { after, limit: STEP })
      reported = false
      return { from: after, events }
    } catch (error) {
      const trimmed = isQueueError(error, 'EVENTS_TRIMMED') ? Number(error.details?.trimmed) : NaN
      if (!(trimmed > after)) throw error
      reporter.warn(
        `Subscribers of run ${stream} miss the events ${after + 1} to ${trimmed}, because they were trimmed.`,
      )
      return readAfter(trimmed)
    }
  }

  async function pump(): Promise<void> {
    if (pumping) return
    pumping = true
    try {
      for (;;) {
        if (stopped || wanted <= cursor) return
        const upTo = wanted
        const { from, events } = await readAfter(cursor)
        cursor = events.at(-1)?.seq ?? from
        // The announced events may have been deleted already. They are not read again.
        if (events.length < STEP && wanted === upTo) wanted = cursor
        for (const listener of listeners) if (!listener.replaying) deliverTo(listener, events)
      }
    } catch (error) {
      if (stopped) return
      report(error)
      setTimeout(() => void pump(), RETRY).unref()
    } finally {
      pumping = false
    }
  }

  async function replay(listener: Listener): Promise<void> {
    for (;;) {
      const before = cursor
      const { from, events } = await readAfter(listener.cursor)
      if (listener.left || stopped) return
      listener.cursor = Math.max(listener.cursor, from)
      deliverTo(listener, events)
      // The other listeners may have received more events during the read.
      if (events.length < STEP && (listener.cursor >= cursor || cursor === before)) break
    }
    listener.replaying = false
    if (cursor === Infinity) cursor = listener.cursor
    // The other listeners may not have received the events that it has read.
    else wanted = Math.max(wanted, listener.cursor)
    void pump()
  }

  function startReplay(listener: Listener): void {
    replay(listener).catch((error: unknown) => {
      if (stopped || listener.left) return
      report(error)
      setTimeout(() => startReplay(listener), RETRY).unref()
    })
  }

  return {
    get idle() {
      return listeners.size === 0 && adding === 0
    },
    wake(seq: number): void {
      wanted = Math.max(wanted, seq)
      void pump()
    },
    /** Adds a listener. Without `after`, it starts after the newest event. */
    async add(after: number | undefined, deliver: Deliver): Promise<() => void> {
      adding++
      const listener: Listener = { deliver, cursor: after ?? 0, replaying: true, left: false }
      try {
        if (after === undefined) listener.cursor = await head(stream)
        // Rejects immediately if the events after `after` were trimmed.
        else await read(stream, { after, limit: 1 })
      } finally {
        adding--
      }
      listeners.add(listener)
      startReplay(listener)
      return () => {
        listener.left = true
        listeners.delete(listener)
      }
    },
    stop(): void {
      stopped = true
      for (const listener of listeners) listener.left = true
      listeners.clear()
    },
  }
}
