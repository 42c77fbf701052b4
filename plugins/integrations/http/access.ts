import type { Kernel, MaybePromise } from '../../../kernel/index.ts'

/**
 * The actions of requests. `runs.read` includes streams. `counts.read` counts jobs that match a filter, and `bulk.start` acts on them, no
 * matter whom they belong to. `metrics.read` reads the metrics of the plugin `metrics`, and `mcp.read` lists the tools of the plugin `mcp`.
 * Each tool then needs its own action.
 */
export const ACTIONS = [
  ...(['queues.read', 'queues.pause', 'queues.resume', 'queues.limit', 'queues.redrive'] as const),
  ...(['jobs.read', 'jobs.enqueue', 'jobs.retry', 'jobs.cancel', 'jobs.promote', 'jobs.remove'] as const),
  ...(['jobs.duplicate', 'jobs.reschedule'] as const),
  'counts.read',
  ...(['bulk.read', 'bulk.start', 'bulk.abort'] as const),
  ...(['runs.read', 'runs.cancel', 'runs.fork'] as const),
  ...(['queries.read', 'runs.update', 'runs.signal'] as const),
  ...(['flows.read', 'flows.start', 'events.send'] as const),
  ...(['triggers.read', 'triggers.fire', 'triggers.save', 'triggers.remove'] as const),
  ...(['triggers.pause', 'triggers.resume'] as const),
  ...(['waits.read', 'waits.resolve', 'waits.complete'] as const),
  ...(['schedules.read', 'schedules.save', 'schedules.remove', 'schedules.pause', 'schedules.resume'] as const),
  ...(['schedules.run', 'schedules.backfill'] as const),
  ...(['workers.read', 'instances.read', 'stats.read'] as const),
  ...(['errors.read', 'errors.resolve', 'errors.ignore', 'errors.reopen'] as const),
  ...(['audit.read', 'metrics.read', 'mcp.read'] as const),
  ...(['health.read', 'openapi.read'] as const),
] as const

/**
 * The action of a request, and its subject. Members that do not apply are absent. `runs.read` without `runId` is for the list or the stream
 * of all runs. The function is then called again for each run, and refused runs are omitted. The same applies to jobs, queues and flows in
 * their lists.
 */
export interface HttpAction {
  type: (typeof ACTIONS)[number]
  queue?: string
  /** The id of a job. */
  job?: string
  /** The id of a worker. */
  worker?: string
  runId?: string
  /** The name of a query of a run. */
  query?: string
  /** The name of an update of a run. */
  update?: string
  /** The name of a signal to a run. */
  signal?: string
  flow?: string
  trigger?: string
  /** The name of a schedule. */
  schedule?: string
  /** The name of an event that is sent. */
  event?: string
  /** The id of a bulk action. */
  bulk?: string
  /** The action of a bulk action: `retry`, `cancel`, `remove`, `promote` or `redrive`. */
  bulkAction?: string
  /** The fingerprint of a group of errors. */
  fingerprint?: string
  /** The token of a wait. */
  token?: string
}

/** Whether a request may do something, and who sent it. The audit contains the actor: a name of at most 200 characters. */
export interface Decision {
  allow: boolean
  actor?: string
}

/**
 * Decides whether a request may do something. Returns `true`, `false` (403), `{ allow, actor }`, or a Response, such as your
 * own 401, which is sent unchanged. If it throws, the error is reported and the request gets 500.
 *
 * @example
 * authorize: async (request, { type }) => type.endsWith('.read') || (await isAdmin(request))
 * authorize: async (request) => ({ allow: true, actor: (await userOf(request)).name })
 */
export type Authorize = (
  request: Request,
  action: HttpAction,
  kernel: Kernel,
) => MaybePromise<boolean | Decision | Response>
