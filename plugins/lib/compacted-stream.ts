import type { EventDraft, PluginKernel, StoredEvent } from '../../kernel/index.ts'
import { createCatchUp, trimStream } from './bounded-stream.ts'

export interface CompactedStreamOptions {
  stream: string
  /** The number of events after which the state is stored again and the earlier events are dropped. */
  every: number
  /** Applies events to the state that this process keeps. The first event of `state()` resets the state. */
  apply(events: readonly StoredEvent[]): void
  /** Returns events that produce the state from an empty state. */
  state(): EventDraft[]
}

export interface CompactedStream {
  /** Applies the events that were appended before this call. */
  update(): Promise<unknown>
  append(drafts: EventDraft[]): Promise<void>
}

/** How often a process tries to compact if others append in the meantime. A later event triggers the next try. */
const PASSES = 5

/**
 * Creates a stream whose events produce the same state in every process. Its length is bounded: from time to time the whole state is
 * appended, and the earlier events are dropped. A process that has not read the dropped events starts from the stored state. Events must
 * not have keys.
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
