import type { SerializedError, StoredEvent } from '../../../kernel/index.ts'
import type { StepFailure } from '../../lib/sub-steps.ts'
import type { WaitResult } from './wait-record.ts'

/**
 * The recorded outcome of one sub-step of a job, and its position in the log.
 *
 * ```
 *                  step.memo
 *   not recorded ────────────▶ run (final)
 *     │  ▲  │      step.resumed
 *     │  │  └────────────────▶ wait (final)
 *     │  │ step.retry, step.failed: the attempt failed with this error,
 *     │  │ or nothing came after the failure
 *     ▼  │                     a later sub-step or wait began after the handler had caught the error
 *    failed ─────────────────────────────────────────────────────────▶ failed, final: true
 *   (step.memo.failed)
 * ```
 *
 * A final failure becomes `not recorded` again only if an attempt fails with its error.
 */
export type Memo =
  | { kind: 'run'; seq: number; result: unknown }
  /** `final`: the handler has caught the failure and continued. */
  | { kind: 'failed'; seq: number; error: StepFailure; final: boolean }
  | { kind: 'wait'; seq: number; result: WaitResult }

/** The recorded sub-steps of a job by name. */
export type Memos = Map<string, Memo>

/** Data of `step.memo` and `step.memo.failed`; of `step.awaiting` only `past`. */
export interface MemoData {
  name: string
  result?: unknown
  error?: StepFailure
  /** Names of the failed sub-steps that the handler had caught before it began this one. */
  past?: readonly string[]
  final?: boolean
}

/** Applies events to the recorded sub-steps of the jobs of a run. */
export function foldMemos(jobs: Map<string, Memos>, events: readonly StoredEvent[]): void {
  for (const event of events) if (event.stepId !== undefined) foldMemo(jobs, event.stepId, event)
}

function foldMemo(jobs: Map<string, Memos>, jobId: string, { type, seq, data }: StoredEvent): void {
  switch (type) {
    case 'step.memo': {
      const { name, result, past } = data as MemoData
      of(jobs, jobId).set(name, { kind: 'run', seq, result })
      markFinal(of(jobs, jobId), past)
      break
    }
    case 'step.memo.failed': {
      const { name, error, past, final = false } = data as MemoData
      of(jobs, jobId).set(name, { kind: 'failed', seq, error: error!, final })
      markFinal(of(jobs, jobId), past)
      break
    }
    case 'step.awaiting': {
      const { past } = data as MemoData
      if (past) markFinal(of(jobs, jobId), past)
      break
    }
    case 'step.resumed': {
      const result = data as WaitResult
      // Waits around the handler (`awaitBefore`, `awaitAfter`) are not sub-steps.
      if (!/^\((?:before|after)\)$/.test(result.name)) of(jobs, jobId).set(result.name, { kind: 'wait', seq, result })
      break
    }
    case 'step.retry':
    case 'step.failed': {
      const memos = jobs.get(jobId)
      if (memos) release(memos, (data as { error?: SerializedError }).error)
      break
    }
    case 'step.deferred': {
      const memos = jobs.get(jobId)
      if (memos && (data as { waits?: boolean }).waits) markFinal(memos, [...memos.keys()])
      else if (memos) release(memos)
      break
    }
    case 'step.completed':
    case 'step.cancelled':
      jobs.delete(jobId)
  }
}

function of(jobs: Map<string, Memos>, jobId: string): Memos {
  const memos = jobs.get(jobId) ?? new Map<string, Memo>()
  jobs.set(jobId, memos)
  return memos
}

function markFinal(memos: Memos, names: readonly string[] = []): void {
  for (const name of names) {
    const memo = memos.get(name)
    if (memo?.kind === 'failed') memo.final = true
  }
}

/**
 * Removes failures after a failed attempt, so that the next attempt runs these sub-steps again: the one whose error
 * ended the attempt, and those after which nothing came. Failures that the handler caught and continued from stay.
 */
function release(memos: Memos, error?: SerializedError): void {
  const reason = error && reasonOf(memos, error)
  for (const [name, memo] of memos) {
    if (memo.kind === 'failed' && (!memo.final || name === reason)) memos.delete(name)
  }
}

/** Returns the newest failed sub-step whose error is the error of the attempt, or one of its causes. */
function reasonOf(memos: Memos, thrown: SerializedError): string | undefined {
  const failed = [...memos].filter(([, memo]) => memo.kind === 'failed').toReversed()
  for (const error of withCauses(thrown)) {
    const equalFailures = failed.filter(([, memo]) => memo.kind === 'failed' && isSame(memo.error, error))
    const exact = equalFailures.find(([, memo]) => memo.kind === 'failed' && memo.error.stack === error.stack)
    if (equalFailures.length > 0) return (exact ?? equalFailures[0]!)[0]
  }
  return undefined
}

function withCauses(error: SerializedError): SerializedError[] {
  return [error, ...(error.cause ? withCauses(error.cause) : []), ...(error.errors ?? []).flatMap(withCauses)]
}

function isSame(one: SerializedError, other: SerializedError): boolean {
  return one.name === other.name && one.message === other.message
}
