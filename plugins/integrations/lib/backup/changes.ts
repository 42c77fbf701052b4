import type { EventStore } from '../../../../kernel/index.ts'
import { STORE_STREAM, writeMark, type StoreMark } from '../../../lib/store-mark.ts'

/** Collects the streams that other processes change while a store is copied. */
export interface Changes {
  /** Returns the names that were collected since the last call. */
  take(): string[]
  /** Adds a stream that could not be copied as a whole. */
  add(stream: string): void
  /** Writes a mark, and resolves with its time when all events that were stored before it have been collected. */
  mark(mark: StoreMark): Promise<number>
  stop(): void
}

export async function followChanges(events: Pick<EventStore, 'append' | 'subscribe'>): Promise<Changes> {
  let changed = new Set<string>()
  let seen = 0
  let onMark = (): void => {}
  const stop = await events.subscribe('*', {}, (some) => {
    for (const { runId, seq } of some) {
      if (runId === STORE_STREAM) seen = seq
      else changed.add(runId)
    }
    onMark()
  })
  return {
    take() {
      const names = [...changed]
      changed = new Set()
      return names
    },
    add: (stream) => void changed.add(stream),
    async mark(mark) {
      const { seq, ts } = await writeMark(events, mark)
      if (seen >= seq) return ts
      await new Promise<void>((resolve) => {
        onMark = () => {
          if (seen >= seq) resolve()
        }
      })
      return ts
    },
    stop,
  }
}
