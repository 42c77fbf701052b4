import type { JobRecord, QueueEvent, Settlement } from '../../../../kernel/index.ts'
import { encodeJson } from '../../../lib/json.ts'
import type { Listeners } from '../../lib/listeners.ts'
import { slotJob, type SlotJob } from '../../lib/slots.ts'
import type { AppendReceipt } from '../lib/append-receipt.ts'

/** A job that this process has claimed. `key` is the id under which it is stored. */
export interface Claimed extends SlotJob {
  /** The number of the claim. */
  readonly claim: number
  /** The fields of the job, decoded when it starts. */
  readonly fields: readonly (string | null)[]
  /** When Redis claimed it, by the clock of Redis. */
  readonly at: number
  /** Present once the job has started. */
  record: JobRecord | undefined
  /** The settlement of the runner. */
  settled: Settlement | undefined
  /** The outcome that depends on the append of the terminal event. */
  early: PendingOutcome | undefined
  /** The result of `early`, and when it was stored. */
  stored: { outcome: string; at: number } | undefined
}

export function claimedOf(key: string, claim: number, fields: readonly (string | null)[], at: number): Claimed {
  return {
    ...slotJob(key),
    claim,
    fields,
    at,
    record: undefined,
    settled: undefined,
    early: undefined,
    stored: undefined,
  }
}

/** An outcome of a claimed job that one call stores. */
export interface PendingOutcome {
  readonly claimed: Claimed
  /** Absent if the job goes back to the queue without having started. */
  settlement: Settlement | undefined
  args: readonly Argument[]
  /** The append on whose acceptance the outcome depends. */
  receipt: AppendReceipt | undefined
  sent: boolean
}

export type Argument = string | number

/** Encodes a settlement for the script `SETTLE_AND_CLAIM`, which documents its arguments. */
export function encodeSettlement(
  { key: storedId, claim: claims, record }: Claimed,
  settlement: Settlement,
  toStore: (moment: number) => number,
): Argument[] {
  const attemptsMade = record?.attemptsMade ?? 0
  const { type } = settlement
  switch (type) {
    case 'completed': {
      const result = settlement.result === undefined ? '' : encodeJson(settlement.result)
      // BullMQ counts the successful attempt as well.
      return [storedId, claims, type, attemptsMade + 1, result, '', '']
    }
    case 'failed': {
      const { error } = settlement
      const stack = JSON.stringify([error.stack ?? `${error.name}: ${error.message}`])
      return [storedId, claims, type, attemptsMade + 1, error.message, JSON.stringify(error), stack]
    }
    case 'retry': {
      const { error, runAt } = settlement
      return [storedId, claims, type, attemptsMade + 1, toStore(runAt), error.message, JSON.stringify(error)]
    }
    case 'defer':
      return [
        storedId,
        claims,
        type,
        0,
        toStore(settlement.runAt),
        flag(settlement.holdQueue),
        flag(settlement.crashed),
      ]
    case 'ended': {
      const { state, result, error } = settlement
      const made = state === 'completed' ? attemptsMade + 1 : attemptsMade
      if (error) return [storedId, claims, type, made, state, error.message, JSON.stringify(error)]
      return [storedId, claims, type, made, state, result === undefined ? '' : encodeJson(result), '']
    }
    case 'lost':
      return [storedId, claims, type, 0, '', '', '']
  }
}

/** Encodes the outcome of a job that goes back to the head of the queue without having started. */
export function encodeReturned({ key, claim }: Claimed): Argument[] {
  return [key, claim, 'returned', 0, '', '', '']
}

/**
 * Encodes the outcomes of a call for the script `SETTLE_AND_CLAIM`. Outcomes that depend on an append name its call by a number, because
 * many appends share one call.
 */
export function encodeBatch(batch: readonly PendingOutcome[]): Argument[] {
  const calls: Argument[] = []
  const numbers = new Map<string, number>()
  const encoded: Argument[] = []
  for (const { args, receipt, claimed } of batch) {
    if (!receipt) {
      encoded.push(...args, '')
      continue
    }
    const { callKey, call, position } = receipt
    const name = `${callKey} ${call}`
    let number = numbers.get(name)
    if (number === undefined) {
      calls.push(callKey, call)
      numbers.set(name, (number = calls.length / 2))
    }
    encoded.push(...args, `${number},${position},${flag(claimed.busy)}`)
  }
  return [batch.length, calls.length / 2, ...encoded, ...calls]
}

function flag(value: boolean | undefined): string {
  return value ? '1' : '0'
}

/** Notifies listeners of the outcome of a settlement, as the store decided it. */
export function emitSettled(
  listeners: Listeners,
  claimed: JobRecord,
  settlement: Settlement,
  outcome: string,
  now: number,
): void {
  if (outcome === 'lost') return
  const record: JobRecord = { ...claimed, state: outcome as JobRecord['state'] }
  if (settlement.type === 'failed' || settlement.type === 'retry') {
    record.attemptsMade++
    record.error = settlement.error
  }
  if (outcome === 'waiting' || outcome === 'delayed') {
    if ('runAt' in settlement) record.runAt = outcome === 'waiting' ? Math.min(now, settlement.runAt) : settlement.runAt
    if (settlement.type === 'retry') listeners.emit('retrying', record.queue, () => ({ ...record }))
  } else {
    record.finishedAt = now
    if (settlement.type === 'completed' || settlement.type === 'ended') record.result = settlement.result
    if (settlement.type === 'ended' && settlement.error) record.error = settlement.error
  }
  listeners.emit(outcome as QueueEvent, record.queue, () => ({ ...record }))
}
