import { isQueueError, type Kernel, type StoredEvent } from '../../../kernel/index.ts'

/** The number of events of a key after which older events are removed. */
const TRIM_EVERY = 1000

/** The words of the plugin that opens the windows. */
interface WindowWords {
  /** The name of the plugin. The queue of its runs is its name after `_`. */
  name: string
  /** The types of the events. */
  opened: string
  closed: string
}

/**
 * Records which job holds the window of a key. Each key has a stream in which windows are opened and closed. The stream is a run that stays
 * open as long as its window, so it never expires before the last window has ended.
 */
export function createWindows(kernel: Kernel, { name, opened: OPENED, closed: CLOSED }: WindowWords) {
  const events = (): ReturnType<typeof kernel.port<'events'>> => kernel.port('events')

  async function newest(stream: string): Promise<StoredEvent | undefined> {
    try {
      return (await events().read(stream, { reverse: true, limit: 1 }))[0]
    } catch (error) {
      if (!isQueueError(error, 'EVENTS_TRIMMED')) throw error
      return (await events().read(stream, { after: (await events().head(stream)) - 1 })).at(-1)
    }
  }

  /** Removes old events, so that the stream of a busy key does not grow forever. */
  async function trim(stream: string, seq: number): Promise<void> {
    if (Math.floor(seq / TRIM_EVERY) === Math.floor((seq - 2) / TRIM_EVERY)) return
    await events().snapshots.put(stream, { reducer: `${name}@1`, seq, state: null })
    await events().trim(stream, seq - 1)
  }

  return {
    /** Returns the open window of a key. Opens a new window if there is none, or if the open one is `over`. */
    async current(stream: string, over?: string): Promise<string> {
      for (;;) {
        const last = await newest(stream)
        const open = last?.type === OPENED ? (last.data as { id: string }).id : undefined
        if (open !== undefined && open !== over) return open
        const id = `${stream}.${kernel.newId()}`
        const head = last?.seq ?? 0
        const run = { status: 'running', name, queue: `_${name}` } as const
        const opened = await events().append(stream, [{ type: OPENED, data: { id } }], {
          expectedSeq: head,
          reopen: true,
          run,
        })
        if (!opened.ok) continue
        await trim(stream, opened.head)
        return id
      }
    },
    /** Returns the newest window of a key, and whether it is open. */
    async newest(stream: string): Promise<{ id: string; open: boolean } | undefined> {
      const last = await newest(stream)
      return last && { id: (last.data as { id: string }).id, open: last.type === OPENED }
    },
    /** Closes a window. Does nothing if another window has followed. */
    async close(stream: string, id: string): Promise<void> {
      const last = await newest(stream)
      if (last?.type !== OPENED || (last.data as { id: string }).id !== id) return
      const run = { status: 'completed' } as const
      await events().append(stream, [{ type: CLOSED, data: { id } }], { expectedSeq: last.seq, run })
    },
  }
}
