import type { JobFilter, JobState, StoredEvent } from '../../../kernel/index.ts'

/** The action on each matching job. */
export type BulkAction = 'retry' | 'cancel' | 'remove' | 'promote' | 'redrive'

/** The request of a bulk action, as its job carries it. */
export interface BulkRequest {
  action: BulkAction
  /** The filter, including the states to which the action applies. */
  filter: JobFilter
  /** Milliseconds since the epoch. Jobs that were created later do not match. */
  requestedAt: number
  /** The maximum number of jobs to act on. */
  limit: number
  /** The reason for a cancellation. */
  reason?: string
}

/** A reason for which jobs were skipped or the action failed. */
export interface BulkReason {
  /** The code of the error, or `INTERNAL`. */
  code: string
  /** The message for the first job. */
  message: string
  /** The first job. */
  job: { queue: string; id: string }
  count: number
}

/** The outcomes of the jobs of a page, or of all jobs. */
export interface BulkCounts {
  /** Jobs on which the action was done. */
  done: number
  /** Jobs whose state no longer allows the action, or to which the action does not apply. */
  skipped: number
  /** Jobs for which the action failed. */
  failed: number
  /** The first ten kinds of reasons. */
  reasons: BulkReason[]
}

/** The report of a bulk action. At the end, `matched` is the sum of `done`, `skipped` and `failed`. */
export interface BulkReport extends BulkRequest, BulkCounts {
  id: string
  /** `waiting`: waits for a worker. `aborting`: the worker finishes the jobs that it has begun. */
  status: 'waiting' | 'running' | 'aborting' | 'completed' | 'aborted' | 'failed'
  /** How many jobs matched at the start. Absent before the start. A store counts at most 100,000. */
  total?: number
  /** How many matching jobs were selected. */
  matched: number
  /** Whether further jobs may match, because `limit` was reached. */
  truncated: boolean
  /** Milliseconds since the epoch. */
  startedAt?: number
  endedAt?: number
}

/** A selected job at the time of the selection. The numbers show whether an earlier claim of the worker has acted on the job. */
export interface SelectedJob {
  queue: string
  id: string
  state?: JobState
  round: number
  claims: number
  createdAt: number
}

/** The state of a bulk action, folded from the log of its job. */
export interface BulkState extends BulkCounts {
  status?: 'running' | 'completed' | 'aborted' | 'failed'
  aborting: boolean
  total?: number
  matched: number
  truncated: boolean
  startedAt?: number
  endedAt?: number
  /** The page that was selected and may have been acted on in part. */
  pending: SelectedJob[]
  /** The cursor of the next page. `null` after the last page. */
  next?: string | null
}

export const ABORTING = '_bulk.aborting'
const MAX_REASONS = 10

export function emptyCounts(): BulkCounts {
  return { done: 0, skipped: 0, failed: 0, reasons: [] }
}

export function initialState(): BulkState {
  return { ...emptyCounts(), aborting: false, matched: 0, truncated: false, pending: [] }
}

export function addReason(counts: BulkCounts, reason: Omit<BulkReason, 'count'>, count = 1): void {
  const known = counts.reasons.find(({ code }) => code === reason.code)
  if (known) known.count += count
  else if (counts.reasons.length < MAX_REASONS) counts.reasons.push({ ...reason, count })
}

/**
 * Applies the events of a bulk action:
 *
 * ```
 *  _bulk.started ──▶ _bulk.selected ──▶ _bulk.acted ──┬──▶ _bulk.ended ──▶ step.completed
 *                        ▲   (the worker acts)     │
 *                        └─────────────────────────┘
 * ```
 *
 * A worker that dies while it acts leaves a `pending` page, and the next worker acts on that page again.
 */
export function applyBulkEvents(state: BulkState, events: readonly StoredEvent[]): void {
  for (const { type, data, ts } of events) {
    if (type === '_bulk.started') {
      const { total } = data as { total: number }
      Object.assign(state, { status: 'running', total, startedAt: ts })
    } else if (type === '_bulk.selected') {
      const { jobs, next, truncated } = data as { jobs: SelectedJob[]; next: string | null; truncated: boolean }
      Object.assign(state, { pending: jobs, next, truncated, matched: state.matched + jobs.length })
    } else if (type === '_bulk.acted') {
      const { done, skipped, failed, reasons } = data as BulkCounts
      state.done += done
      state.skipped += skipped
      state.failed += failed
      for (const { count, ...reason } of reasons) addReason(state, reason, count)
      state.pending = []
    } else if (type === '_bulk.ended') {
      Object.assign(state, { status: (data as { status: string }).status, endedAt: ts })
    } else if (type === ABORTING) state.aborting = true
    else if (type === 'step.failed') Object.assign(state, { status: 'failed', endedAt: ts })
  }
}

export function reportOf(id: string, request: BulkRequest, state: BulkState): BulkReport {
  const { status = 'waiting', aborting, pending: _pending, next: _next, ...counts } = state
  const isOpen = state.endedAt === undefined
  return { id, ...request, ...counts, status: isOpen && aborting ? 'aborting' : status }
}
