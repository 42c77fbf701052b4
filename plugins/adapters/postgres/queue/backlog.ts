import { isQueueError, type Reporter } from '../../../../kernel/index.ts'
import { mayBeOneMembers } from '../lib/failure.ts'
import type { Settled } from './settlement.ts'

/** The first and the longest pause between attempts while the store is unavailable, in milliseconds. */
const FIRST_PAUSE = 1000
const MAX_PAUSE = 10_000

/** The settlements that are not stored yet. */
export interface Backlog {
  readonly length: number
  /** True while it searches for a settlement that the store rejects. A poll then claims no jobs. */
  readonly isolating: boolean
  push(settled: Settled): void
  /** Removes and returns the settlements for the next poll. */
  take(): Settled[]
  worked(): void
  /** Adds the settlements of a failed poll again. Returns the milliseconds to wait before the next poll. */
  failed(batch: readonly Settled[], error: unknown): number
}

/**
 * Creates the backlog of a consumer. A poll stores many settlements. If the store rejects them, the batch is split in halves
 * until the invalid settlement is alone, and its job runs again. If the store is unavailable, the pauses grow, and the outage
 * is reported once.
 */
export function createBacklog(queue: string, reporter: Reporter): Backlog {
  let settled: Settled[] = []
  let batchLimit = Infinity
  let pause = 0

  function isolate(batch: readonly Settled[], error: unknown): void {
    if (batch.length > 1) {
      batchLimit = batch.length >> 1
      settled = [...batch, ...settled]
      return
    }
    const { uuid, instead } = batch[0]!
    reporter.error(`The outcome of job ${uuid} of queue "${queue}" cannot be stored. The job will run again.`, error)
    if (instead) settled.unshift(instead())
  }

  return {
    get length() {
      return settled.length
    },
    get isolating() {
      return batchLimit < Infinity
    },
    push: (next) => void settled.push(next),
    take() {
      if (settled.length > batchLimit) return settled.splice(0, batchLimit)
      const all = settled
      settled = []
      return all
    },
    worked() {
      pause = 0
      if (batchLimit < Infinity) batchLimit = 2 * batchLimit > settled.length ? Infinity : 2 * batchLimit
    },
    failed(batch, error) {
      if (batch.length > 0 && mayBeOneMembers(error)) {
        isolate(batch, error)
        return 0
      }
      settled = [...batch, ...settled]
      // A smaller batch may be fast enough.
      if (batch.length > 1 && isQueueError(error, 'STORE_TIMEOUT')) batchLimit = batch.length >> 1
      if (pause === 0) reporter.error(`Queue "${queue}" could not settle or claim jobs. The call is repeated.`, error)
      pause = pause === 0 ? FIRST_PAUSE : Math.min(2 * pause, MAX_PAUSE)
      return pause
    },
  }
}
