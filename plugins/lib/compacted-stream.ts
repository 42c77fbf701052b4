import type { EventDraft, PluginKernel, ReadOptions, StoredEvent } from '../../kernel/index.ts'
import { readKept, trimStream } from './bounded-stream.ts'

export interface CompactedStreamOptions {
  stream: string
  /** After how many events the state is stored again, and the events before it are dropped. */
  every: number
  /** Applies events to the state that this process keeps. The first event of `state()` begins an empty state. */
  apply(events: readonly StoredEvent[]): void
  /** Returns the events that make the state from nothing. */
  state(): EventDraft[]
}

export interface CompactedStream {
  /** Applies what was appended before this call. Calls that wait for their turn share one read. */
  update(): Promise<void>
  append(drafts: EventDraft[]): Promise<void>
  /** Reads events that are kept. */
  read(options: ReadOptions): Promise<StoredEvent[]>
}

/** How often a process tries, if others append in the meantime. The next one tries again later. */
const PASSES = 5
const PAGE = 500

/**
 * Creates a stream whose events make a state that every process arrives at. Its length is bounded: now and then the whole state is
 * appended, and the events before it are dropped. Events must not have keys.
 */
export function createCompactedStream(
  kernel: PluginKernel,
  { stream, every, apply, state }: CompactedStreamOptions,
): CompactedStream {
  let seq = 0
  let last: Promise<void> = Promise.resolve()
  let waiting: Promise<void> | undefined

  const read = (options: ReadOptions): Promise<StoredEvent[]> => readKept(kernel, stream, options)

  /** If events were dropped that this process has not read, the stored state replaces what it has. */
  async function forward(): Promise<void> {
    for (let more = true; more;) {
      const page = await read({ after: seq, limit: PAGE })
      apply(page)
      seq = page.at(-1)?.seq ?? seq
      more = page.length === PAGE
    }
  }

  function update(): Promise<void> {
    if (waiting) return waiting
    waiting = last
      .catch(() => {})
      .then(() => {
        waiting = undefined
        return forward()
      })
    last = waiting
    return waiting
  }

  /** The store refuses the state if an event has arrived since its events were read. */
  async function compact(): Promise<void> {
    for (let pass = 0; pass < PASSES; pass++) {
      await update()
      const before = seq
      const { ok } = await kernel.emit(stream, state(), { expectedSeq: before })
      if (ok) return trimStream(kernel, stream, before)
    }
  }

  return {
    update,
    read,
    async append(drafts) {
      const { head, ok } = await kernel.emit(stream, drafts)
      if (ok && Math.floor(head / every) > Math.floor((head - drafts.length) / every)) await compact()
    },
  }
}
