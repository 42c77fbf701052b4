import type { Clock, EnqueueReceipt, JobDraft, JobRecord } from '../../../../kernel/index.ts'
import type { Listeners } from '../../lib/listeners.ts'

export interface Arrivals {
  /** Stores jobs, and notifies listeners of the new ones. */
  store(drafts: readonly JobDraft[], send: () => Promise<EnqueueReceipt[]>): Promise<EnqueueReceipt[]>
  /** Call this when a job was claimed in this process. If its `enqueue` is still in flight, listeners are notified of its arrival first. */
  claimed(record: Readonly<JobRecord>): void
}

/**
 * Notifies listeners of jobs that this process enqueues. A job may be claimed on one connection before the call that stored
 * it returns on another one.
 */
export function createArrivals(listeners: Listeners, clock: Clock): Arrivals {
  const inFlight = new Map<string, JobDraft>()
  const notified = new WeakSet<JobDraft>()
  const keyOf = ({ queue, id }: Pick<JobDraft, 'queue' | 'id'>): string => `${id} ${queue}`

  function notify(draft: JobDraft): void {
    if (notified.has(draft)) return
    notified.add(draft)
    const state = draft.runAt > draft.createdAt && draft.runAt > clock.now() ? 'delayed' : 'waiting'
    const fresh = { attemptsMade: 0, claims: 0, crashes: 0, round: 0 }
    listeners.emit(state, draft.queue, () => ({ ...draft, ...fresh, state }))
  }

  return {
    async store(drafts, send) {
      if (!listeners.any) return send()
      for (const draft of drafts) inFlight.set(keyOf(draft), draft)
      try {
        const receipts = await send()
        for (const [index, { deduplicated }] of receipts.entries()) if (!deduplicated) notify(drafts[index]!)
        return receipts
      } finally {
        for (const draft of drafts) if (inFlight.get(keyOf(draft)) === draft) inFlight.delete(keyOf(draft))
      }
    },
    claimed(record) {
      const draft = inFlight.get(keyOf(record))
      // The claimed job may be an earlier one with the same id.
      if (draft && draft.runId === record.runId && draft.createdAt === record.createdAt) notify(draft)
    },
  }
}
