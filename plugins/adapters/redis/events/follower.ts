import { isQueueError, type ReadOptions, type Reporter, type StoredEvent } from '../../../../kernel/index.ts'

export interface Reads {
  read(stream: string, options: ReadOptions): Promise<StoredEvent[]>
  head(stream: string): Promise<number>
}

type Deliver = (events: readonly StoredEvent[]) => void

interface Listener {
  deliver: Deliver
  /** `seq` of the last event it was given. */
  cursor: number
  /** Still replays what came before; it joins the others when it has caught up with them. */
  replaying: boolean
  left: boolean
}

/** How many events one step delivers. */
const STEP = 500
/** Milliseconds before reading is tried again after a failure. */
const RETRY = 500

export type Follower = ReturnType<typeof createFollower>

/** Follows one stream for all its listeners in this process: reads from its cursor when woken. */
export function createFollower(stream: string, { read, head }: Reads, reporter: Reporter) {
  const listeners = new Set<Listener>()
  let cursor = Infinity
  let wanted = 0
  let pumping = false
  let adding = 0
  let stopped = false
  let reported = false

  function give(listener: Listener, events: readonly StoredEvent[]): void {
    const fresh = events.filter(({ seq }) => seq > listener.cursor)
    if (fresh.length === 0 || listener.left) return
    listener.cursor = fresh.at(-1)!.seq
    // Data of its own for each, as with every read.
    listener.deliver(fresh)
  }

  /** Once, however often it is tried again. */
  function report(error: unknown): void {
    if (!reported) reporter.error(`Run ${stream} could not be followed; trying again.`, error)
    reported = true
  }

  /** Events behind a seq. Those that were trimmed before they could be read are gone: it goes on behind them. */
  async function readBehind(after: number): Promise<{ from: number; events: readonly StoredEvent[] }> {
    try {
      const events = await read(stream, { after, limit: STEP })
      reported = false
      return { from: after, events }
    } catch (error) {
      const trimmed = isQueueError(error, 'EVENTS_TRIMMED') ? Number(error.details?.trimmed) : NaN
      if (!(trimmed > after)) throw error
      reporter.warn(`Events ${after + 1} to ${trimmed} of run ${stream} were trimmed before a follower had read them.`)
      return readBehind(trimmed)
    }
  }

  async function pump(): Promise<void> {
    if (pumping) return
    pumping = true
    try {
      for (;;) {
        if (stopped || wanted <= cursor) return
        const upTo = wanted
        const { from, events } = await readBehind(cursor)
        cursor = events.at(-1)?.seq ?? from
        // What was announced may be gone already; do not look for it again.
        if (events.length < STEP && wanted === upTo) wanted = cursor
        for (const listener of listeners) if (!listener.replaying) give(listener, events)
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
      const { from, events } = await readBehind(listener.cursor)
      if (listener.left || stopped) return
      listener.cursor = Math.max(listener.cursor, from)
      give(listener, events)
      // The others may have been given more while it read.
      if (events.length < STEP && (listener.cursor >= cursor || cursor === before)) break
    }
    listener.replaying = false
    if (cursor === Infinity) cursor = listener.cursor
    // What it has read, the others may still be waiting for.
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
    /** Without `after`, from the newest event on. */
    async add(after: number | undefined, deliver: Deliver): Promise<() => void> {
      adding++
      const listener: Listener = { deliver, cursor: after ?? 0, replaying: true, left: false }
      try {
        if (after === undefined) listener.cursor = await head(stream)
        // Refuses at once what was trimmed.
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
