import type { SerializedError, StoredEvent } from '../../../kernel/index.ts'
import type { StepFailure } from '../../lib/sub-steps.ts'
import type { WaitResult } from './wait-record.ts'

/** What one job has on record under a name, and where that stands in the log. */
export type Memo =
  | { kind: 'run'; seq: number; result: unknown }
  /** A failure that is `final` was caught, and the handler has gone on from it. */
  | { kind: 'failed'; seq: number; error: StepFailure; final: boolean }
  | { kind: 'wait'; seq: number; result: WaitResult }

/** By name. */
export type Memos = Map<string, Memo>

/** Data of `step.memo` and `step.memo.failed`; of `step.awaiting` only `past`. */
export interface MemoData {
  name: string
  result?: unknown
  error?: StepFailure
  /** Names of the failed parts that the handler had gone on from when it began this one. */
  past?: readonly string[]
  final?: boolean
}

/** Folds what the jobs of a run have on record. */
export function foldMemos(jobs: Map<string, Memos>, events: readonly StoredEvent[]): void {
  for (const event of events) if (event.stepId !== undefined) foldMemo(jobs, event.stepId, event)
}

function foldMemo(jobs: Map<string, Memos>, jobId: string, { type, seq, data }: StoredEvent): void {
  switch (type) {
    case 'step.memo': {
      const { name, result, past } = data as MemoData
      of(jobs, jobId).set(name, { kind: 'run', seq, result })
      goOnFrom(of(jobs, jobId), past)
      break
    }
    case 'step.memo.failed': {
      const { name, error, past, final = false } = data as MemoData
      of(jobs, jobId).set(name, { kind: 'failed', seq, error: error!, final })
      goOnFrom(of(jobs, jobId), past)
      break
    }
    case 'step.awaiting': {
      const { past } = data as MemoData
      if (past) goOnFrom(of(jobs, jobId), past)
      break
    }
    case 'step.resumed': {
      const result = data as WaitResult
      // Those around the handler are not its own.
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
      if (memos && (data as { waits?: boolean }).waits) goOnFrom(memos, [...memos.keys()])
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

function goOnFrom(memos: Memos, names: readonly string[] = []): void {
  for (const name of names) {
    const memo = memos.get(name)
    if (memo?.kind === 'failed') memo.final = true
  }
}

/**
 * An attempt has failed, and its job is tried again: so are the failed parts that it failed with, and those that
 * nothing has come after. What the handler had caught and gone on from stays as it is.
 */
function release(memos: Memos, error?: SerializedError): void {
  const reason = error && reasonOf(memos, error)
  for (const [name, memo] of memos) {
    if (memo.kind === 'failed' && (!memo.final || name === reason)) memos.delete(name)
  }
}

/** The failed part that an attempt ended with: the newest that its error, or one of its causes, is the error of. */
function reasonOf(memos: Memos, thrown: SerializedError): string | undefined {
  const failed = [...memos].filter(([, memo]) => memo.kind === 'failed').toReversed()
  for (const error of withCauses(thrown)) {
    const same = failed.filter(([, memo]) => memo.kind === 'failed' && isSame(memo.error, error))
    const exact = same.find(([, memo]) => memo.kind === 'failed' && memo.error.stack === error.stack)
    if (same.length > 0) return (exact ?? same[0]!)[0]
  }
  return undefined
}

function withCauses(error: SerializedError): SerializedError[] {
  return [error, ...(error.cause ? withCauses(error.cause) : []), ...(error.errors ?? []).flatMap(withCauses)]
}

function isSame(one: SerializedError, other: SerializedError): boolean {
  return one.name === other.name && one.message === other.message
}
