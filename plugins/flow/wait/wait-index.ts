import type { StoredEvent } from '../../../kernel/index.ts'
import type { LogPosition, SentEvent, StoredWaitEvent } from './log.ts'

/** The job that waits. */
export interface WaitingJob {
  runId: string
  jobId: string
  queue: string
}

interface OpenWait extends WaitingJob {
  /** Events from this moment on count, in milliseconds since the epoch. */
  since: number
  /** No other wait will ever use this name and key. */
  once?: boolean
  /** No event up to this `seq` of the event log matches. */
  passed?: number
}

/** The event that a wait ended with: a `seq` of the stream of waits, or a position in the event log. */
export type Taken = { seq?: number; behind?: LogPosition }

/** The open waits for the events of one name and key. Stored in snapshots. */
export interface WaitIndex {
  open: Record<string, OpenWait>
  /** The event for a wait with `once`, and events that earlier releases stored here. */
  events: StoredWaitEvent[]
  /** The last event that a wait of a run has taken, by run. The next wait of the run takes a later event. */
  taken: Record<string, Taken & { at: number }>
}

export function createWaitIndex(): WaitIndex {
  return { open: {}, events: [], taken: {} }
}

/** Returns the moment before which events have expired: they are older than `keep` milliseconds and older than every open wait. */
export function staleBefore({ open }: WaitIndex, now: number, keep: number): number {
  return Object.values(open).reduce((oldest, { since }) => Math.min(oldest, since), now - keep)
}

/** Returns the index without events that are older than a moment. */
export function prune({ open, events, taken }: WaitIndex, before: number): WaitIndex {
  return {
    open,
    events: events.filter(({ at }) => at >= before),
    taken: Object.fromEntries(Object.entries(taken).filter(([, { at }]) => at >= before)),
  }
}

/**
 * Applies events to the index. A wait for an event passes these states:
 *
 * ```
 *   wait.registered          event filed, matches           wait.closed (taken)
 *  ─────────────────▶ open ───────────────────────▶ found ─────────────────────▶ closed
 *                     │  ▲                                                         ▲
 *        wait.passed  └──┘       timed out, or the job has ended: wait.closed      │
 *   (events that do not match)  ───────────────────────────────────────────────────┘
 * ```
 *
 * The run has its own record of the same wait: `step.awaiting` before `wait.registered`, and `step.resumed` with the
 * result between `found` and `closed`. A process that dies between two of them repeats the rest at the next attempt.
 */
export function foldWaitIndex(index: WaitIndex, stored: readonly StoredEvent[]): void {
  for (const { type, seq, ts, data } of stored) {
    if (type === 'wait.event') {
      const sent = data as SentEvent
      // A process that did not know that the event was stored may store it again soon after.
      if (!index.events.slice(-100).some((event) => event.id === sent.id)) index.events.push({ ...sent, seq, at: ts })
    } else if (type === 'wait.registered') {
      const { waitId, ...wait } = data as { waitId: string } & OpenWait
      index.open[waitId] = wait
    } else if (type === 'wait.closed') {
      const { waitId, taken: seq, behind } = data as { waitId: string; taken?: number; behind?: LogPosition }
      const runId = index.open[waitId]?.runId
      if (runId !== undefined && (seq !== undefined || behind)) index.taken[runId] = { seq, behind, at: ts }
      delete index.open[waitId]
    } else if (type === 'wait.passed') {
      const { waitId, seq, at } = data as LogPosition & { waitId: string }
      const wait = index.open[waitId]
      if (wait) index.open[waitId] = { ...wait, passed: seq, since: Math.max(wait.since, at) }
    } else if (type === 'wait.tidied') Object.assign(index, prune(index, (data as { before: number }).before))
  }
}
