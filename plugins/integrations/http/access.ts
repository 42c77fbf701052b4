import type { Kernel, MaybePromise } from '../../../kernel/index.ts'

/** What requests can do. Reading of runs includes their streams. */
export const ACTIONS = [
  ...(['queues.read', 'queues.pause', 'queues.resume', 'queues.redrive'] as const),
  ...(['jobs.read', 'jobs.enqueue', 'jobs.retry', 'jobs.cancel', 'jobs.promote', 'jobs.remove'] as const),
  ...(['runs.read', 'runs.cancel', 'runs.fork'] as const),
  ...(['flows.read', 'flows.start', 'events.send', 'triggers.read', 'triggers.fire', 'waits.resolve'] as const),
  ...(['schedules.read', 'workers.read', 'instances.read', 'health.read', 'openapi.read'] as const),
] as const

/**
 * What a request is about to do, and with what: absent members are not part of it. Without `runId`,
 * `runs.read` is about the list, or the stream, of all runs; each run in it is asked for on its own, and left
 * out where that is refused. So are jobs, queues and flows in their lists.
 */
export interface HttpAction {
  type: (typeof ACTIONS)[number]
  queue?: string
  /** The id of a job. */
  job?: string
  /** The id of a worker. */
  worker?: string
  runId?: string
  flow?: string
  trigger?: string
  /** The name of an event that is sent. */
  event?: string
  /** The token of a wait. */
  token?: string
}

/**
 * Says whether a request may do something. A Response is sent as it is, such as a 401 of your own; what it
 * throws is reported and answered with 500.
 *
 * @example
 * authorize: async (request, { type }) => type.endsWith('.read') || (await isAdmin(request))
 */
export type Authorize = (request: Request, action: HttpAction, kernel: Kernel) => MaybePromise<boolean | Response>
