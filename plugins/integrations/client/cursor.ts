import type { StoredEvent } from '../../../kernel/index.ts'

/** How many runs are tracked between two cursors on the stream of all runs. */
const MAX_RUNS = 10_000

/** Tracks the position of a subscription and the events that it has seen. */
export function createCursor(after: number | string | undefined) {
  let value = after
  /** The newest `seq` of each run since the cursor. A reconnection replays events from the cursor on. */
  const seen = new Map<string, number>()
  const start = Number(after)

  return {
    get value() {
      return value
    },
    /** Records an event. Returns false if it was seen before. */
    pass({ runId, seq }: StoredEvent, id: string | undefined): boolean {
      const ofRun = id === String(seq)
      const last = seen.get(runId) ?? (ofRun && start >= 0 ? start : 0)
      const news = seq > last
      if (news) seen.set(runId, seq)
      if (seen.size > MAX_RUNS) seen.delete(seen.keys().next().value!)
      if (ofRun) value = Math.max(seq, last)
      else if (id !== undefined) {
        value = id
        seen.clear()
      }
      return news
    },
    move(id: string): void {
      value = /^\d+$/.test(id) ? Number(id) : id
    },
    applyTo(url: string): string {
      if (value === undefined) return url
      const [path, query] = url.split('?') as [string, string | undefined]
      const params = new URLSearchParams(query)
      params.set('after', String(value))
      return `${path}?${params.toString()}`
    },
  }
}
