import type { Clock, EnqueueReceipt, JobDraft, JobRecord } from '../../../../kernel/index.ts'
import type { Signals } from './signals.ts'

export interface Arrivals {
  /** Stores jobs, and tells of those that are new. */
  store(drafts: readonly JobDraft[], send: () => Promise<EnqueueReceipt[]>): Promise<EnqueueReceipt[]>
  /** A job was claimed in this process: tells of its arrival first, should its answer still be on its way. */
  claimed(record: Readonly<JobRecord>): void
}

/** Tells of jobs that this process enqueues. They may be claimed on one connection before another answers. */
export function createArrivals(signals: Signals, clock: Clock): Arrivals {
  const underWay = new Map<string, JobDraft>()
  const told = new WeakSet<JobDraft>()
  const keyOf = ({ queue, id }: Pick<JobDraft, 'queue' | 'id'>): string => `${id} ${queue}`

  function tell(draft: JobDraft): void {
    if (told.has(draft)) return
    told.add(draft)
    const state = draft.runAt > draft.createdAt && draft.runAt > clock.now() ? 'delayed' : 'waiting'
    const fresh = { attemptsMade: 0, claims: 0, crashes: 0, round: 0 }
    signals.emit(state, draft.queue, () => ({ ...draft, ...fresh, state }))
  }

  return {
    async store(drafts, send) {
      if (!signals.any) return send()
      for (const draft of drafts) underWay.set(keyOf(draft), draft)
      try {
        const receipts = await send()
        for (const [index, { deduplicated }] of receipts.entries()) if (!deduplicated) tell(drafts[index]!)
        return receipts
      } finally {
        for (const draft of drafts) if (underWay.get(keyOf(draft)) === draft) underWay.delete(keyOf(draft))
      }
    },
    claimed(record) {
      const draft = underWay.get(keyOf(record))
      // Another one of that id may have been there before.
      if (draft && draft.runId === record.runId && draft.createdAt === record.createdAt) tell(draft)
    },
  }
}
