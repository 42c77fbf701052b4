import type { Ending, EventDraft, Kernel, Settlement } from '../../../../kernel/index.ts'
import type { Listeners } from '../../lib/listeners.ts'
import { givenBack, storable } from '../../lib/storable.ts'
import type { AppendReceipt } from '../lib/append-receipt.ts'
import type { RedisPort } from '../lib/redis.ts'
import {
  emitSettled,
  encodeReturned,
  encodeSettlement,
  type Claimed,
  type Argument,
  type PendingOutcome,
} from './settlement.ts'

export interface OutcomesOptions {
  redis: RedisPort
  kernel: Pick<Kernel, 'clock' | 'reporter'>
  listeners: Listeners
  toStore: (moment: number) => number
  /** Called when there is an outcome to store. */
  added(): void
  /** Called when a job holds its queue for a number of milliseconds. */
  hold(ms: number): void
  /** Called when the outcome of a job is stored and the runner has no more work with the job. */
  finished(claimed: Claimed): void
  /** Called when the job no longer uses a slot, or will not when `slot` resolves. */
  release(claimed: Claimed, slot?: Promise<unknown>): void
}

/**
 * The outcomes of claimed jobs until they are stored. The outcome of a job comes from the runner. That of a completed plain job comes
 * earlier, with the append of its terminal event, so that both travel in one round trip:
 *
 *     runner settles ─────────────────> queued ──> sent ──> finished
 *     terminal event is sent ──> queued, depends on the append ──> sent ─┬─ accepted ──> stored ── runner settles ──> finished
 *                                                                        └─ refused or unknown ── runner settles ──> queued
 *
 * An outcome that depends on an append takes effect only behind that append. If anything goes wrong, it is forgotten, and the outcome of
 * the runner counts.
 */
export function createOutcomes({ redis, kernel, listeners, toStore, added, finished, hold, release }: OutcomesOptions) {
  let queued: PendingOutcome[] = []

  /** Encodes a settlement. If it cannot be stored, the job runs again, so that the other settlements of the call are stored. */
  function encode(claimed: Claimed, settlement: Settlement): { settlement: Settlement; args: Argument[] } {
    const report = (problem: unknown): void =>
      kernel.reporter.error(
        `The outcome of job "${claimed.record?.id ?? claimed.key}" cannot be stored. The job will run again.`,
        problem,
      )
    const now = kernel.clock.now()
    const stored = storable(settlement, now, report)
    try {
      return { settlement: stored, args: encodeSettlement(claimed, stored, toStore) }
    } catch (error) {
      report(error)
      const again = givenBack(settlement, now)
      return { settlement: again, args: encodeSettlement(claimed, again, toStore) }
    }
  }

  function add(claimed: Claimed, settlement: Settlement): void {
    const { early } = claimed
    // The append has been accepted before the outcome that depends on it was sent.
    if (early && settlement.type === 'completed') early.receipt = undefined
    else if (early) Object.assign(early, encode(claimed, settlement), { receipt: undefined })
    else {
      const outcome = encode(claimed, settlement)
      queued.push({ claimed, ...outcome, receipt: undefined, sent: false })
      const { settlement: stored } = outcome
      if (stored.type === 'defer' && stored.holdQueue) hold(stored.runAt - kernel.clock.now())
    }
    release(claimed, settlement.slot)
    added()
  }

  function finish({ claimed, settlement }: PendingOutcome, outcome: string, now: number): void {
    if (listeners.any && settlement && claimed.record) emitSettled(listeners, claimed.record, settlement, outcome, now)
    finished(claimed)
  }

  /** Queues the outcome of a job whose terminal event is being sent. */
  function addEarly(claimed: Claimed, end: EventDraft, receipt: AppendReceipt): void {
    if (claimed.settled || claimed.early) return
    const { result } = end.data as { result?: unknown }
    const settlement: Settlement = { type: 'completed', result }
    claimed.early = { claimed, settlement, args: encodeSettlement(claimed, settlement, toStore), receipt, sent: false }
    queued.push(claimed.early)
    added()
  }

  return {
    get size() {
      return queued.length
    },
    /** The number of queued outcomes that free a slot. Only a consumer with a concurrency of 1 has one. */
    get busy() {
      let count = 0
      for (const { claimed, receipt } of queued) if (receipt && claimed.busy) count++
      return count
    },
    /** Receives the settlement of the runner. */
    settle(claimed: Claimed, settlement: Settlement): void {
      claimed.settled = settlement
      const { stored } = claimed
      if (stored) finish(claimed.early!, stored.outcome, stored.at)
      else if (!claimed.early?.sent) add(claimed, settlement)
    },
    /** Returns a job that has not started to the head of the queue. */
    giveBack(claimed: Claimed): void {
      queued.push({ claimed, settlement: undefined, args: encodeReturned(claimed), receipt: undefined, sent: false })
      added()
    },
    /** Returns the ending of a job for the append that completes it. */
    endingOf: (claimed: Claimed, key: string): Ending => ({
      key,
      store: redis,
      sent: (end, receipt) => addEarly(claimed, end, receipt as AppendReceipt),
    }),
    take(most: number): PendingOutcome[] {
      const taken = queued.slice(0, most)
      queued = queued.slice(taken.length)
      for (const outcome of taken) outcome.sent = true
      return taken
    },
    /** Puts the outcomes of a failed call back. */
    putBack(taken: readonly PendingOutcome[]): void {
      queued = [...taken.filter(({ receipt }) => !receipt), ...queued]
      for (const { claimed, receipt } of taken) if (receipt) forgetEarly(claimed)
    },
    /** Receives the results of a call. */
    accept(taken: readonly PendingOutcome[], results: readonly string[], now: number): void {
      for (const [index, outcome] of taken.entries()) {
        const { claimed, receipt } = outcome
        const result = results[index]!
        if (!receipt) finish(outcome, result, now)
        else if (result === UNMET) forgetEarly(claimed)
        else {
          release(claimed)
          claimed.stored = { outcome: result, at: now }
          if (claimed.settled) finish(outcome, result, now)
        }
      }
    },
  }

  function forgetEarly(claimed: Claimed): void {
    claimed.early = undefined
    if (claimed.settled) add(claimed, claimed.settled)
  }
}

/** The result of a settlement whose append was refused, or is not the last call of its pipeline any more. */
export const UNMET = 'unmet'
