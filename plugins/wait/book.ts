import type { StoredEvent } from '../../kernel/index.ts'

/** Who waits in a stream. */
export interface OpenWait {
  runId: string
  jobId: string
  queue: string
}

export interface Arrived {
  seq: number
  /** Milliseconds since the epoch at which it was filed. */
  at: number
  payload: unknown
}

/** Who waits for the events of one name and key, and which have come. */
export interface Book {
  open: Record<string, OpenWait & { since: number }>
  events: Arrived[]
}

export function createBook(): Book {
  return { open: {}, events: [] }
}

/** What of a book nobody can ask for any more: older than `keep` milliseconds and than every open wait. */
export function staleBefore({ open }: Book, now: number, keep: number): number {
  return Object.values(open).reduce((oldest, { since }) => Math.min(oldest, since), now - keep)
}

export function foldBook(book: Book, events: readonly StoredEvent[]): void {
  for (const { type, seq, ts, data } of events) {
    if (type === 'wait.event') book.events.push({ seq, at: ts, payload: (data as { payload: unknown }).payload })
    else if (type === 'wait.registered') {
      const { waitId, ...wait } = data as { waitId: string } & Book['open'][string]
      book.open[waitId] = wait
    } else if (type === 'wait.closed') delete book.open[(data as { waitId: string }).waitId]
    else if (type === 'wait.tidied') {
      const { before } = data as { before: number }
      book.events = book.events.filter(({ at }) => at >= before)
    }
  }
}
