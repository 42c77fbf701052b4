import type { StoredEvent } from '../../../kernel/index.ts'
import type { Filed, Place } from './log.ts'

/** The job that waits. */
export interface JobAddress {
  runId: string
  jobId: string
  queue: string
}

interface OpenWait extends JobAddress {
  /** Events from this moment on count, in milliseconds since the epoch. */
  since: number
  /** Nobody else will ever wait here. */
  once?: boolean
  /** Up to this `seq` of the log of events nothing was meant. */
  passed?: number
}

/** What a wait was over with: a `seq` of the stream of waits, or a place in the log of events. */
export type Taken = { seq?: number; behind?: Place }

/** Who waits for the events of one name and key. */
export interface Book {
  open: Record<string, OpenWait>
  /** What went to the only wait that there is; and what earlier releases have filed. */
  events: Filed[]
  /** By run, the last event that a wait of it has taken: the next one takes a later one. */
  taken: Record<string, Taken & { at: number }>
}

export function createBook(): Book {
  return { open: {}, events: [], taken: {} }
}

/** What of a book nobody can ask for any more: older than `keep` milliseconds and than every open wait. */
export function staleBefore({ open }: Book, now: number, keep: number): number {
  return Object.values(open).reduce((oldest, { since }) => Math.min(oldest, since), now - keep)
}

/** Without what is older than a moment. */
export function prune({ open, events, taken }: Book, before: number): Book {
  return {
    open,
    events: events.filter(({ at }) => at >= before),
    taken: Object.fromEntries(Object.entries(taken).filter(([, { at }]) => at >= before)),
  }
}

export function foldBook(book: Book, stored: readonly StoredEvent[]): void {
  for (const { type, seq, ts, data } of stored) {
    if (type === 'wait.event') {
      const { id, payload } = data as Pick<Filed, 'id' | 'payload'>
      // Filed again, soon after, by whoever did not know that it had been.
      if (!book.events.slice(-100).some((event) => event.id === id)) book.events.push({ seq, id, at: ts, payload })
    } else if (type === 'wait.registered') {
      const { waitId, ...wait } = data as { waitId: string } & OpenWait
      book.open[waitId] = wait
    } else if (type === 'wait.closed') {
      const { waitId, taken: seq, behind } = data as { waitId: string; taken?: number; behind?: Place }
      const runId = book.open[waitId]?.runId
      if (runId !== undefined && (seq !== undefined || behind)) book.taken[runId] = { seq, behind, at: ts }
      delete book.open[waitId]
    } else if (type === 'wait.passed') {
      const { waitId, seq, at } = data as Place & { waitId: string }
      const wait = book.open[waitId]
      if (wait) book.open[waitId] = { ...wait, passed: seq, since: Math.max(wait.since, at) }
    } else if (type === 'wait.tidied') Object.assign(book, prune(book, (data as { before: number }).before))
  }
}
