import type { StoredEvent } from '../../../kernel/index.ts'
import type { ErrorShape } from './fingerprint.ts'

export const STATUSES = ['open', 'resolved', 'ignored'] as const
export type ErrorStatus = (typeof STATUSES)[number]

/** A job that failed with an error of the group. */
export interface ErrorExample {
  id: string
  runId: string
  /** When it failed, in milliseconds since the epoch. */
  at: number
  /** The original message, cut to 200 characters. */
  message: string
}

/** Failures of one worker with errors of the same name, message and place. */
export interface ErrorGroup extends ErrorShape {
  fingerprint: string
  queue: string
  /** The id of the worker. */
  worker: string
  /** How many attempts failed with such an error. */
  count: number
  /** When such an error was first and last seen, in milliseconds since the epoch. */
  firstSeen: number
  lastSeen: number
  /** A resolved group opens again if its error occurs again. An ignored group stays ignored. */
  status: ErrorStatus
  /** Whether the error occurred again after the group was resolved. */
  regressed: boolean
  /** When its status was set, in milliseconds since the epoch. Absent for a group that was never resolved or ignored. */
  statusAt?: number
  /** The last jobs that failed with such an error, newest first, at most three. */
  jobs: readonly ErrorExample[]
}

/** The failures of a group that a process has seen since its last report. */
export type SeenGroup = Omit<ErrorGroup, 'status' | 'regressed' | 'statusAt'>

export const MAX_JOBS_PER_GROUP = 3
/** The maximum number of groups. */
export const MAX_GROUPS = 500

export type Groups = Map<string, ErrorGroup>

/**
 * Applies events of the stream of errors in place. The groups depend only on the events, so they are the same in every process:
 *
 * | event | data |
 * |---|---|
 * | `errors.seen` | `id`, `groups`: the failures that a process has seen |
 * | `errors.status` | `fingerprint`, `status`: the decision of an operator |
 * | `errors.state` | `groups`: all groups at this point. The events before it can be dropped |
 */
export function applyErrorEvents(groups: Groups, events: readonly StoredEvent[]): void {
  for (const { type, ts, data } of events) {
    if (type === 'errors.state') {
      groups.clear()
      for (const group of (data as { groups: ErrorGroup[] }).groups) groups.set(group.fingerprint, { ...group })
    } else if (type === 'errors.seen') {
      for (const seen of (data as { groups: SeenGroup[] }).groups) addSeen(groups, seen)
      evict(groups, MAX_GROUPS)
    } else if (type === 'errors.status') {
      const { fingerprint, status } = data as { fingerprint: string; status: ErrorStatus }
      const group = groups.get(fingerprint)
      if (group) Object.assign(group, { status, statusAt: ts, regressed: false })
    }
  }
}

function addSeen(groups: Groups, seen: SeenGroup): void {
  const known = groups.get(seen.fingerprint)
  if (!known) return void groups.set(seen.fingerprint, { ...seen, status: 'open', regressed: false })
  merge(known, seen)
  // Failures from before the decision may be reported after it.
  if (known.status === 'resolved' && seen.lastSeen >= known.statusAt!) {
    Object.assign(known, { status: 'open', regressed: true })
  }
}

/** Adds seen failures to a group, in place. */
export function merge(group: SeenGroup, seen: SeenGroup): void {
  group.count += seen.count
  group.firstSeen = Math.min(group.firstSeen, seen.firstSeen)
  group.lastSeen = Math.max(group.lastSeen, seen.lastSeen)
  group.jobs = [...seen.jobs, ...group.jobs].toSorted((a, b) => b.at - a.at).slice(0, MAX_JOBS_PER_GROUP)
}

/** Drops groups until at most `most` are left. Resolved and ignored groups are dropped first, and among these the least recently seen. */
export function evict(groups: Groups, most: number): void {
  if (groups.size <= most) return
  const order = [...groups.values()].toSorted(
    (a, b) =>
      Number(a.status === 'open') - Number(b.status === 'open') ||
      a.lastSeen - b.lastSeen ||
      (a.fingerprint < b.fingerprint ? -1 : 1),
  )
  for (const { fingerprint } of order.slice(0, groups.size - most)) groups.delete(fingerprint)
}
