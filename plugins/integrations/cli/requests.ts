import { z } from 'zod'

const job = z.object({ id: z.string(), queue: z.string(), name: z.string(), runId: z.string() })
/** A job by its id. Without a queue, all queues are searched. */
const address = z.object({ id: z.string(), queue: z.string().optional() })
const moment = z.union([z.number(), z.date()])

/** The members of a filter of jobs. */
const filter = {
  ...{ queue: z.string().optional(), name: z.string().optional(), runId: z.string().optional() },
  ...{ tag: z.string().optional(), error: z.string().optional() },
  states: z.array(z.enum(['waiting', 'delayed', 'active', 'completed', 'failed', 'cancelled'])).optional(),
  createdAfter: z.number().optional(),
  createdBefore: z.number().optional(),
  data: z.record(z.string(), z.string()).optional(),
}
const bulkAction = z.enum(['retry', 'cancel', 'remove', 'promote', 'redrive'])

/** The schemas of the parameters of each request. The receiver checks them. */
export const params = {
  /** Returns the listening process. */
  hello: z.object({}),
  /** Enqueues a job. `delay` is in milliseconds. */
  enqueue: z.object({
    worker: z.string(),
    data: z.unknown(),
    id: z.string().optional(),
    delay: z.number().optional(),
    tags: z.array(z.string()).optional(),
    headers: z.record(z.string(), z.string()).optional(),
  }),
  /** Waits for the end of a job, or of the flow that it starts, and returns the result. */
  result: job,
  /** Returns runs, newest first. */
  runs: z.object({
    status: z.enum(['running', 'completed', 'failed', 'cancelled']).optional(),
    flow: z.string().optional(),
    tag: z.string().optional(),
    limit: z.number().optional(),
  }),
  /** Returns jobs, newest first. */
  jobs: z.object({
    ...filter,
    after: z.string().optional(),
    limit: z.number().optional(),
  }),
  /** Returns a run with its events. */
  run: z.object({ runId: z.string() }),
  /** Returns the state of a run: now, at a `seq`, or at a date. */
  state: z.object({ runId: z.string(), at: moment.optional() }),
  /** Computes a query of a run. */
  queryRun: z.object({ runId: z.string(), name: z.string(), input: z.unknown() }),
  /** Changes a run with one of its updates. */
  updateRun: z.object({ runId: z.string(), name: z.string(), input: z.unknown(), id: z.string().optional() }),
  /** Sends a signal to a run. */
  signalRun: z.object({ runId: z.string(), name: z.string(), payload: z.unknown(), id: z.string().optional() }),
  /** Explains why a job does not run, or how it ended. Without a queue, all queues are searched. */
  explain: address,
  /** Runs a failed or cancelled job again, optionally with new data. */
  retry: address.extend({ edited: z.object({ data: z.unknown() }).optional() }),
  /** Enqueues a copy of a job. `delay` is in milliseconds. */
  duplicate: address.extend({
    edited: z.object({ data: z.unknown() }).optional(),
    newId: z.string().optional(),
    delay: moment.optional(),
  }),
  /** Changes when a waiting or delayed job runs: milliseconds from now, or a date. */
  reschedule: address.extend({ delay: moment }),
  cancel: address.extend({ reason: z.string().optional() }),
  /** Makes a delayed job due now. */
  promote: address,
  remove: address,
  /** Returns events of a run after a `seq`. Waits for the first at most `wait` milliseconds. */
  events: z.object({ runId: z.string(), after: z.number(), limit: z.number(), wait: z.number() }),
  /** Starts an action on all matching jobs. With `wait`, returns when the action has ended. */
  bulk: z.object({
    action: bulkAction,
    filter: z.object(filter),
    limit: z.number().optional(),
    reason: z.string().optional(),
    wait: z.boolean(),
  }),
  /** Returns the findings of all checks of the system. */
  doctor: z.object({}),
  countBulk: z.object({ action: bulkAction, filter: z.object(filter) }),
  bulkReport: z.object({ id: z.string() }),
  bulkReports: z.object({ limit: z.number().optional() }),
  abortBulk: z.object({ id: z.string() }),
  /** Returns queues with their job counts. */
  queues: z.object({ internal: z.boolean() }),
  pause: z.object({ queue: z.string(), key: z.string().optional() }),
  resume: z.object({ queue: z.string(), key: z.string().optional() }),
  /** Changes the limits of a queue, and returns them. */
  limit: z.object({
    queue: z.string(),
    change: z.object({
      concurrency: z.number().nullish(),
      rate: z.object({ limit: z.number(), period: z.number() }).nullish(),
    }),
  }),
  /** Moves dead letters back to their original queues. */
  redrive: z.object({ queue: z.string(), limit: z.number().optional() }),
  /** Returns the open waits for events and requests. */
  waits: z.object({ limit: z.number().optional(), after: z.string().optional() }),
  workers: z.object({}),
  schedules: z.object({}),
  /** Changes a schedule for all processes, or starts its target. */
  changeSchedule: z.object({
    name: z.string(),
    change: z.enum(['pause', 'resume', 'remove', 'run']),
  }),
  saveSchedule: z.object({ name: z.string(), schedule: z.looseObject({}) }),
  backfillSchedule: z.object({
    name: z.string(),
    from: z.number(),
    to: z.number().optional(),
    limit: z.number().optional(),
  }),
  triggers: z.object({}),
  /** Changes a trigger for all processes. */
  changeTrigger: z.object({ name: z.string(), change: z.enum(['pause', 'resume', 'remove']) }),
  saveTrigger: z.object({ name: z.string(), trigger: z.looseObject({}) }),
  fireTrigger: z.object({ name: z.string(), payload: z.unknown(), id: z.string().optional() }),
  /** Returns the events that fired a trigger or were refused, newest first. */
  triggerHistory: z.object({ name: z.string(), limit: z.number().optional() }),
  /** Returns error groups, or changes the status of a group. */
  errors: z.object({
    status: z.enum(['open', 'resolved', 'ignored']).optional(),
    queue: z.string().optional(),
    limit: z.number().optional(),
  }),
  setErrorStatus: z.object({ fingerprint: z.string(), status: z.enum(['open', 'resolved', 'ignored']) }),
  /** Returns the actions that were taken over HTTP, newest first. */
  audit: z.object({ actor: z.string().optional(), action: z.string().optional(), limit: z.number().optional() }),
  /** Sends a request to the HTTP API of the process, whose rules apply. `path` is the path and query below `api/`. */
  api: z.object({
    method: z.enum(['GET', 'POST', 'DELETE']),
    path: z.string(),
    body: z.string().optional(),
    token: z.string().optional(),
  }),
  /** Counts jobs over the last `since` milliseconds. */
  stats: z.object({
    queue: z.string().optional(),
    worker: z.string().optional(),
    since: z.number(),
    step: z.number().optional(),
  }),
}

export type Method = keyof typeof params
export type ParamsOf<M extends Method> = z.infer<(typeof params)[M]>
