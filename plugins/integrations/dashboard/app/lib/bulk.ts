import type { JobState } from '../api/types.ts'

/** The actions on many jobs at once, and the states to which each applies. */
export const BULK_ACTIONS = [
  { action: 'retry', label: 'Retry', icon: 'retry', states: ['failed', 'cancelled'] },
  { action: 'promote', label: 'Run now', icon: 'promote', states: ['delayed'] },
  { action: 'cancel', label: 'Cancel', icon: 'cancel', states: ['waiting', 'delayed', 'active'] },
  { action: 'remove', label: 'Remove', icon: 'remove', states: ['completed', 'failed', 'cancelled'] },
] as const satisfies readonly { action: string; label: string; icon: string; states: readonly JobState[] }[]
export type BulkAction = (typeof BULK_ACTIONS)[number]

/** A bulk action as `GET bulk` returns it. */
export interface BulkReport {
  id: string
  action: string
  filter: Readonly<Record<string, unknown>>
  status: 'waiting' | 'running' | 'aborting' | 'completed' | 'aborted' | 'failed'
  requestedAt: number
  startedAt?: number
  endedAt?: number
  /** How many jobs matched at the start. */
  total?: number
  matched: number
  done: number
  skipped: number
  failed: number
  truncated: boolean
  reasons: readonly { code: string; message: string; count: number; job: { queue: string; id: string } }[]
}

/** Returns the progress of a bulk action, between 0 and 1. */
export function progressOf({ done, skipped, failed, total, status }: BulkReport): number {
  if (status === 'completed') return 1
  return total === undefined || total === 0 ? 0 : Math.min(1, (done + skipped + failed) / total)
}

const STATES: Readonly<Record<BulkReport['status'], string>> = {
  waiting: 'waiting',
  running: 'running',
  aborting: 'held',
  completed: 'completed',
  aborted: 'cancelled',
  failed: 'failed',
}

/** Returns the state whose colour represents a bulk action. */
export const stateOfBulk = ({ status }: BulkReport): string => STATES[status]
export const isOpen = ({ status }: BulkReport): boolean => status === 'waiting' || status === 'running'
