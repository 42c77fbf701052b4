import {
  isQueueError,
  type AppendOptions,
  type AppendResult,
  type EventDraft,
  type Kernel,
  type StoredEvent,
} from '../../kernel/index.ts'

/** A stream has no state, so that whatever it holds may go: said once, for every `seq` there can be. */
const COVERS_ALL = { reducer: 'bounded', seq: 2 ** 31 - 1, state: null }

export interface BoundedStream {
  append(stream: string, event: EventDraft, options?: AppendOptions): Promise<AppendResult>
  /** The newest events, newest first; at most as many as are kept. */
  newest(stream: string, limit: number): Promise<StoredEvent[]>
}

/**
 * Streams of which the newest `keep` events are kept, and up to a tenth more. Their events have no
 * keys, since those outlive what is trimmed.
 */
export function createBoundedStream(kernel: Pick<Kernel, 'emit' | 'port'>, keep: number): BoundedStream {
  const every = Math.max(1, Math.floor(keep / 10))

  return {
    async append(stream, event, options) {
      const result = await kernel.emit(stream, [event], options)
      // Each `seq` is given once, so that one of all instances does it.
      if (!result.ok || result.head <= keep || result.head % every !== 0) return result
      await kernel.port('events').snapshots.put(stream, COVERS_ALL)
      await kernel.port('events').trim(stream, result.head - keep)
      return result
    },
    async newest(stream, limit) {
      const head = await kernel.port('events').head(stream)
      for (let span = Math.min(limit, keep); ; span = Math.floor(span / 2)) {
        try {
          return await kernel.port('events').read(stream, { after: Math.max(0, head - span), reverse: true, limit })
        } catch (error) {
          // Others have appended and trimmed meanwhile, or keep less.
          if (span === 0 || !isQueueError(error, 'EVENTS_TRIMMED')) throw error
        }
      }
    },
  }
}
