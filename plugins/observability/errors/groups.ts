import type { StoredEvent } from '../../../kernel/index.ts'
import type { ErrorShape } from './fingerprint.ts'

export const STATUSES = ['open', 'resolved', 'ignored'] as const
export type ErrorStatus = (typeof STATUSES)[number]

/** A job that failed with an error of a group. */
export interface ErrorExample {
  id: string
  runId: string
  /** When it failed, in milliseconds since the epoch. */
  at: number
  /** The message as it was, cut to 200 characters. */
  message: string
}

/** Failures of one worker that have the same name, message and place. */
export interface ErrorGroup extends ErrorShape {
  fingerprint: string
  queue: string
  /** The id of the worker. */
  worker: string
  /** How many attempts failed with it. */
  count: number
  /** When it was seen first and last, in milliseconds since the epoch. */
  firstSeen: number
  lastSeen: number
  /** A resolved group opens again when it is seen again. An ignored one stays ignored. */
  status: ErrorStatus
  /** Whether it was seen again after it had been resolved. */
  regressed: boolean
  /** When its status was set, in milliseconds since the epoch. Absent for a group that was never resolved or ignored. */
  statusAt?: number
  /** The newest jobs that failed with it, newest first, at most three. */
  jobs: readonly ErrorExample[]
}

/** What a process has seen of a group since it last reported. */
export type SeenGroup = Omit<ErrorGroup, 'status' | 'regressed' | 'statusAt'>

export const MOST_JOBS = 3
/** The most groups that are kept. */
export const MOST_GROUPS = 500

export type Groups = Map<string, ErrorGroup>

/**
 * Applies events of the stream of errors in place. Every process arrives at the same groups, because it depends on nothing but
 * the events:
 *
 * | event | data |
 * |---|---|
 * | `errors.seen` | `id`, `groups`: what a process has seen |
 * | `errors.status` | `fingerprint`, `status`: what somebody decided |
 * | `errors.state` | `groups`: all groups at this point. The events before it can be dropped |
 */
export function applyEvents(groups: Groups, events: readonly StoredEvent[]): void {
  for (const { type, ts, data } of events) {
    if (type === 'errors.state') {
      groups.clear()
      for (const group of (data as { groups: ErrorGroup[] }).groups) groups.set(group.fingerprint, { ...group })
    } else if (type === 'errors.seen') {
      for (const seen of (data as { groups: SeenGroup[] }).groups) addSeen(groups, seen)
      evict(groups, MOST_GROUPS)
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

/** Adds what was seen to a group, in place. */
export function merge(group: SeenGroup, seen: SeenGroup): void {
  group.count += seen.count
  group.firstSeen = Math.min(group.firstSeen, seen.firstSeen)
  group.lastSeen = Math.max(group.lastSeen, seen.lastSeen)
  group.jobs = [...seen.jobs, ...group.jobs].toSorted((a, b) => b.at - a.at).slice(0, MOST_JOBS)
}

/** Drops groups until at most `most` are left: resolved and ignored ones first, and of those what was not seen for longest. */
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
