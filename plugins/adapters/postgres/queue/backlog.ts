import { isQueueError, type Reporter } from '../../../../kernel/index.ts'
import { mayBeOneMembers } from '../lib/failure.ts'
import type { Settled } from './settlement.ts'

/** Milliseconds between attempts to reach a store that takes nothing. */
const FIRST_REST = 1000
const LONGEST_REST = 10_000

/** What has run and is to be stored. */
export interface Backlog {
  readonly length: number
  /** Whether it looks for the one that the store refuses: then a turn does nothing else. */
  readonly isolating: boolean
  push(one: Settled): void
  /** What the next turn carries. */
  take(): Settled[]
  worked(): void
  /** Puts back what a turn could not store; returns how many milliseconds to wait before the next one. */
  failed(batch: readonly Settled[], error: unknown): number
}

/**
 * Settlements travel together. When they are refused they are halved until the one at fault stands alone, which is
 * given back. A store that takes nothing is asked less and less often, and reported once.
 */
export function createBacklog(queue: string, reporter: Reporter): Backlog {
  let settled: Settled[] = []
  let most = Infinity
  let rest = 0

  function isolate(batch: readonly Settled[], error: unknown): void {
    if (batch.length > 1) {
      most = batch.length >> 1
      settled = [...batch, ...settled]
      return
    }
    const { uuid, instead } = batch[0]!
    reporter.error(`How job ${uuid} of queue "${queue}" ended cannot be stored; it will run again.`, error)
    if (instead) settled.unshift(instead())
  }

  return {
    get length() {
      return settled.length
    },
    get isolating() {
      return most < Infinity
    },
    push: (one) => void settled.push(one),
    take() {
      if (settled.length > most) return settled.splice(0, most)
      const all = settled
      settled = []
      return all
    },
    worked() {
      rest = 0
      if (most < Infinity) most = 2 * most > settled.length ? Infinity : 2 * most
    },
    failed(batch, error) {
      if (batch.length > 0 && mayBeOneMembers(error)) {
        isolate(batch, error)
        return 0
      }
      settled = [...batch, ...settled]
      // What is too slow for many may not be for a few.
      if (batch.length > 1 && isQueueError(error, 'STORE_TIMEOUT')) most = batch.length >> 1
      if (rest === 0) reporter.error(`Queue "${queue}" could not settle or claim jobs; it will try again.`, error)
      rest = rest === 0 ? FIRST_REST : Math.min(2 * rest, LONGEST_REST)
      return rest
    },
  }
}
