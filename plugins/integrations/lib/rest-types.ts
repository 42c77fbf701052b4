import type { JobFilter, JobState, QueueLimits } from '../../../kernel/index.ts'

/*
 * The parameters and responses of the routes for operators. Moments are milliseconds since the epoch.
 */

export type StatsQuery = {
  queue?: string
  worker?: string
  from?: number | Date
  to?: number | Date
  step?: number
  /** Adds the series of each queue. */
  by?: 'queue'
}
type Quantiles = { count: number; p50: number | null; p95: number | null; p99: number | null }
/** Counts of jobs from `ts` until `ts + step`, and how long attempts waited and ran. All times are in milliseconds. */
export interface StatsPoint extends Record<
  'enqueued' | 'started' | 'completed' | 'failed' | 'retried' | 'expired',
  number
> {
  ts: number
  wait: Quantiles
  run: Quantiles
}
/** Failures of one worker with errors of the same name, message and place. Times are in milliseconds since the epoch. */
export interface ErrorGroupInfo {
  fingerprint: string
  name: string
  message: string
  code?: string
  frame?: string
  queue: string
  worker: string
  count: number
  firstSeen: number
  lastSeen: number
  status: 'open' | 'resolved' | 'ignored'
  regressed: boolean
  statusAt?: number
  jobs: { id: string; runId: string; at: number; message: string }[]
}
/** An action that a client took over HTTP. `at` is in milliseconds since the epoch. */
export interface AuditEntryInfo {
  at: number
  actor?: string
  action: string
  route: string
  subject: Record<string, string>
  outcome: string
  status: number
}
/** The report of a bulk action. At the end, `matched` is the sum of `done`, `skipped` and `failed`. */
export interface BulkInfo extends Record<'limit' | 'matched' | 'done' | 'skipped' | 'failed' | 'requestedAt', number> {
  id: string
  action: BulkActionName
  filter: JobFilter
  status: 'waiting' | 'running' | 'aborting' | 'completed' | 'aborted' | 'failed'
  /** How many jobs matched at the start. */
  total?: number
  reasons: { code: string; message: string; job: { queue: string; id: string }; count: number }[]
  truncated: boolean
  startedAt?: number
  endedAt?: number
}
export type BulkActionName = 'retry' | 'cancel' | 'remove' | 'promote' | 'redrive'
export type BulkStart = { id?: string; limit?: number; reason?: string }
/** An open wait. Times are in milliseconds since the epoch. */
export interface WaitInfo {
  runId: string
  jobId: string
  queue: string
  name: string
  kind: 'event' | 'webhook'
  event?: string
  key?: string
  startedAt: number
  until?: number
}
export type AuditQuery = { actor?: string; action?: string; before?: number; limit?: number }
export type ErrorQuery = Partial<Pick<ErrorGroupInfo, 'status' | 'queue' | 'worker'>> & { limit?: number }

export interface QueueView {
  name: string
  paused: boolean
  counts: Record<JobState, number>
  /** Of one queue: the limits that were set at run time. Absent if there are none. */
  limits?: QueueLimits
  /** Of one queue: its paused keys. Absent if there are none. */
  pausedKeys?: readonly { key: string; since: number }[]
  /** When the oldest waiting job was due. Absent if none waits. */
  oldest?: number
}

/** The timing and the target of a schedule. Moments are milliseconds since the epoch, or ISO dates. */
export interface ScheduleDraft {
  cron?: string
  timeZone?: string
  every?: number
  anchor?: number | string
  at?: number | string
  jitter?: number
  catchUp?: 'last' | 'all' | false
  overlap?: 'queue' | 'skip' | 'replace'
  worker?: string
  flow?: string
  entry?: string
  data?: unknown
  headers?: Readonly<Record<string, string>>
}
export interface ScheduleView extends ScheduleDraft {
  name: string
  source: 'code' | 'shared'
  paused: boolean
  /** Whether operators have removed it, although code declares it. */
  removed: boolean
  next?: number
  upcoming: number[]
  recent: { at: number; status: string; runId: string; jobId?: string }[]
}

/** How requests to a saved webhook are verified: the options of `verify`, with the name of the variable of the secret. */
export interface WebhookVerification {
  type: string
  secretEnv: string | readonly string[]
  [option: string]: unknown
}

/** A trigger that is saved for all processes. */
export type TriggerDraft = (
  | { type: 'manual' }
  | { type: 'event'; event: string }
  | { type: 'webhook'; path: string; verify: WebhookVerification }
) & {
  flow?: string
  entry?: string
  worker?: string
  rateLimit?: { limit: number; period: number }
}
export interface TriggerView {
  name: string
  type: 'manual' | 'event' | 'webhook' | 'schedule'
  event?: string
  path?: string
  url?: string
  verify?: WebhookVerification
  rateLimit?: { limit: number; period: number } | { max: number; duration: number }
  subscriptions: { id: string; flow?: string; entry?: string; worker?: string }[]
  source: 'code' | 'shared'
  paused: boolean
  /** Whether operators have removed it, although code declares it. */
  removed: boolean
  recent: Pick<TriggerDelivery, 'type' | 'at' | 'reason'>[]
}
/** An event that fired a trigger, or was refused. `at` is in milliseconds since the epoch. */
export interface TriggerDelivery {
  type: 'fired' | 'refused'
  /** Empty for a request that was refused before it became an event. */
  id: string
  key: string
  at: number
  payload?: unknown
  started?: {
    subscription: string
    runId?: string
    queue?: string
    jobId?: string
    reason?: string
    message?: string
  }[]
  reason?: string
  message?: string
  /** For a request to a webhook: whether its sender proved its origin. */
  verified?: boolean
  /** How many requests were refused since the previous entry, if there were several. */
  count?: number
}
