import type { EventDraft, PluginKernel, StoredEvent } from '../../kernel/index.ts'
import { createCatchUp, trimStream } from './bounded-stream.ts'

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
  /** Applies what was appended before this call. */
  update(): Promise<unknown>
  append(drafts: EventDraft[]): Promise<void>
}

/** How often a process tries, if others append in the meantime. The next one tries again later. */
const PASSES = 5

/**
 * Creates a stream whose events make a state that every process arrives at. Its length is bounded: now and then the whole state is
 * appended, and the events before it are dropped. A process that has not read those begins with the stored state. Events must not
 * have keys.
 */
export function createCompactedStream(
  kernel: PluginKernel,
  { stream, every, apply, state }: CompactedStreamOptions,
): CompactedStream {
  const update = createCatchUp(kernel, stream, apply)
  kernel.declareStreams?.({ names: () => [stream] })

  /** The store refuses the state if an event has arrived since its events were read. */
  async function compact(): Promise<void> {
    for (let pass = 0; pass < PASSES; pass++) {
      const before = await update()
      const { ok } = await kernel.emit(stream, state(), { expectedSeq: before })
      if (ok) return trimStream(kernel, stream, before)
    }
  }

  return {
    update,
    async append(drafts) {
      const { head, ok } = await kernel.emit(stream, drafts)
      if (ok && Math.floor(head / every) > Math.floor((head - drafts.length) / every)) await compact()
    },
  }
}
