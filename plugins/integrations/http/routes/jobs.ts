import { z } from 'zod'
import {
  isReserved,
  QueueError,
  type JobFilter,
  type JobRecord,
  type Kernel,
  type WorkerDefinition,
} from '../../../../kernel/index.ts'
import * as answers from './answers.ts'
import { withoutForeignJobs } from './foreign-jobs.ts'
import { largeCount } from '../../../lib/large-counts.ts'
import { route, type RouteCall, type Route } from './route.ts'
import { filterOf, filterQuery } from './job-filter.ts'
import { assertOptions, jobOptions } from './job-options.ts'
import { bodyDelay, cursor, jobHeadersOf, limit, name, prose, reference, whole } from './values.ts'

/** The largest offset in a list of jobs. Stores read all entries before it. */
const MAX_OFFSET = 100_000

type JobCall = Pick<RouteCall<'jobs/:queue/:job', undefined, undefined>, 'kernel' | 'params' | 'assertMay'>

/** Queues of plugins are closed to HTTP callers. */
function workerOf(kernel: Kernel, id: unknown): WorkerDefinition | undefined {
  const worker = typeof id === 'string' ? kernel.registry.get(id) : undefined
  return worker && isReserved('queue', worker.queue.name) ? undefined : worker
}

/**
 * Returns the job of a path, or `undefined`. The request is authorized again after the run is known, because tenants are often
 * distinguished by their runs.
 */
async function known(call: JobCall): Promise<JobRecord | undefined> {
  const job = await call.kernel.port('queue').getJob(call.params.queue, call.params.job)
  if (job) await call.assertMay({ runId: job.runId })
  return job
}

/** @throws QueueError `JOB_NOT_FOUND` */
async function find(call: JobCall): Promise<JobRecord> {
  const job = await known(call)
  if (job) return job
  const { queue, job: id } = call.params
  throw new QueueError(
    'JOB_NOT_FOUND',
    `Queue "${queue}" has no job "${id}". The job may have been removed or have expired.`,
  )
}

/**
 * Lists the oldest jobs first, for requests with `offset` and for adapters without the capability `search`.
 *
 * @throws QueueError `REQUEST_INVALID` for a filter that only the search supports
 */
async function listByOffset(
  kernel: Kernel,
  { queue, name: jobName, runId, states, ...others }: JobFilter,
  { limit: size, offset = 0, after, examine }: { limit: number; offset?: number; after?: string; examine?: number },
) {
  const more = [
    ...Object.keys(others),
    ...Object.entries({ after, examine }).flatMap(([key, value]) => (value === undefined ? [] : [key])),
  ]
  if (more.length > 0) {
    const hint = 'Omit "offset", and page with "after". The queue adapter has to support "search".'
    throw new QueueError('REQUEST_INVALID', `A list by offset does not support "${more[0]}". ${hint}`)
  }
  const jobs = await kernel.port('queue').getJobs({ queue, name: jobName, runId, states, limit: size, offset })
  return { jobs, ...(jobs.length === size && { next: offset + jobs.length }) }
}

export const jobRoutes: readonly Route[] = [
  route({
    id: 'listJobs',
    method: 'GET',
    path: 'jobs',
    action: 'jobs.read',
    summary:
      'Find jobs, newest first. A page may have fewer entries than its limit. To find jobs of plugins, name their queue. To compare values in the data, add data.<path>=<value>',
    query: filterQuery({
      limit: limit(100, 1000),
      /** The `next` of the previous page. */
      after: cursor.optional(),
      /** The maximum number of candidates to examine, up to 100,000. With a small number, the page is returned sooner and may be empty. */
      examine: whole(100_000).min(1).optional(),
      /** Deprecated: use `after`. Lists the oldest jobs first, and supports only `queue`, `name`, `runId` and `state`. */
      offset: whole(MAX_OFFSET).optional(),
    }),
    answer: z.object({
      jobs: z.array(answers.job),
      /** The cursor of the next page, if there may be one. After a request with `offset`, the next offset. */
      next: z.union([z.string(), z.number().int()]).optional(),
      /** Whether only the newest candidates were examined, 100,000 or `examine`. `next` continues from there. */
      truncated: z.boolean().optional(),
    }),
    async handle({ kernel, query, mayRead }) {
      const { queue, limit, after, examine, offset } = query
      const filter = filterOf(query)
      const searches = offset === undefined && (kernel.port('queue').capabilities.search || after !== undefined)
      const page = searches
        ? await kernel.findJobs({ ...filter, limit, after, examine })
        : await listByOffset(kernel, filter, { limit, offset, after, examine })
      const jobs = []
      for (const job of page.jobs) {
        const shown = queue !== undefined || !isReserved('queue', job.queue)
        if (shown && (await mayRead({ type: 'jobs.read', queue: job.queue, job: job.id, runId: job.runId })))
          jobs.push(job)
      }
      return { ...page, jobs }
    },
  }),
  route({
    id: 'countJobs',
    method: 'GET',
    path: 'jobs/count',
    action: 'counts.read',
    summary: 'Count the jobs that match a filter, by state. Takes the same filter as the list of jobs',
    query: filterQuery({}),
    answer: answers.totals,
    handle({ kernel, query }) {
      const filter = filterOf(query)
      return largeCount(kernel, `jobs ${JSON.stringify(filter)}`, () => kernel.countJobs(filter))
    },
  }),
  route({
    id: 'enqueueJob',
    method: 'POST',
    path: 'jobs',
    action: 'jobs.enqueue',
    destructive: false,
    summary: 'Enqueue a job for a worker',
    body: z.strictObject({ worker: name, data: z.unknown().optional(), options: jobOptions.optional() }),
    answer: answers.enqueued,
    status: 202,
    subject(kernel, { worker }) {
      const known = workerOf(kernel, worker)
      return { ...(typeof worker === 'string' && { worker }), ...(known && { queue: known.queue.name }) }
    },
    async handle({ kernel, body: { worker, data, options: given = {} }, request, assertMay }) {
      if (!workerOf(kernel, worker)) {
        throw new QueueError('WORKER_UNKNOWN', `There is no worker "${worker}" here. List them with GET workers.`)
      }
      assertOptions(kernel, given)
      const job = await kernel.enqueue(worker, data, { ...given, headers: jobHeadersOf(request, given.headers) })
      // Another caller may have enqueued a job with this id.
      if (job.deduplicated) await assertMay({ queue: job.queue, job: job.id, runId: job.runId })
      return job
    },
  }),
  route({
    id: 'getJob',
    method: 'GET',
    path: 'jobs/:queue/:job',
    action: 'jobs.read',
    summary: 'One job',
    answer: answers.job,
    handle: find,
  }),
  route({
    id: 'explainJob',
    method: 'GET',
    path: 'jobs/:queue/:job/explain',
    action: 'jobs.read',
    summary: 'Explain why a job does not run, or how it ended',
    query: z.strictObject({
      /** The run of the job, to look up a job that the queue no longer has. */
      runId: reference.optional(),
    }),
    answer: answers.explanation,
    async handle(call) {
      const { kernel, params, query, assertMay, mayRead } = call
      const job = await kernel.port('queue').getJob(params.queue, params.job)
      const runId = job?.runId ?? query.runId
      if (runId !== undefined) await assertMay({ runId })
      const explanation = await kernel.explain({ queue: params.queue, id: params.job, runId })
      return withoutForeignJobs(kernel, explanation, mayRead)
    },
  }),
  route({
    id: 'retryJob',
    method: 'POST',
    path: 'jobs/:queue/:job/retry',
    action: 'jobs.retry',
    summary: 'Run a failed or cancelled job again, with all its attempts, optionally with new data',
    /** The new data, which is checked with the schema of the worker. Default: the data stays unchanged. */
    body: z.strictObject({ data: z.unknown().optional() }),
    answer: answers.job,
    async handle(call) {
      const { queue, id } = await find(call)
      await call.kernel.retry({ queue, id }, call.body)
      return find(call)
    },
  }),
  route({
    id: 'duplicateJob',
    method: 'POST',
    path: 'jobs/:queue/:job/duplicate',
    action: 'jobs.duplicate',
    destructive: false,
    summary: 'Enqueue a copy of a job, with its options and tags',
    body: z.strictObject({
      /** Default: the data of the job. */
      data: z.unknown().optional(),
      /** The id of the copy. If the queue knows a job with this id, that job is returned. */
      id: name.optional(),
      /** Milliseconds, or the ISO date before which the copy does not run. */
      delay: bodyDelay.optional(),
    }),
    answer: answers.enqueued,
    status: 202,
    async handle(call) {
      const { queue, id } = await find(call)
      const copy = await call.kernel.duplicate({ queue, id }, call.body)
      // Another caller may have enqueued a job with this id.
      if (copy.deduplicated) await call.assertMay({ job: copy.id, runId: copy.runId })
      return copy
    },
  }),
  route({
    id: 'rescheduleJob',
    method: 'POST',
    path: 'jobs/:queue/:job/reschedule',
    action: 'jobs.reschedule',
    destructive: false,
    summary: 'Change when a waiting or delayed job runs',
    /** Milliseconds from now, or an ISO date. */
    body: z.strictObject({ delay: bodyDelay }),
    answer: answers.changed,
    handle: async (call) => ({ changed: await call.kernel.reschedule(await find(call), call.body) }),
  }),
  route({
    id: 'cancelJob',
    method: 'POST',
    path: 'jobs/:queue/:job/cancel',
    action: 'jobs.cancel',
    idempotent: true,
    summary: 'Cancel a job',
    body: z.strictObject({ reason: prose.optional() }),
    answer: answers.changed,
    handle: async (call) => ({ changed: await call.kernel.cancel(await find(call), call.body) }),
  }),
  route({
    id: 'promoteJob',
    method: 'POST',
    path: 'jobs/:queue/:job/promote',
    action: 'jobs.promote',
    destructive: false,
    idempotent: true,
    summary: 'Run a delayed job now',
    answer: answers.changed,
    async handle(call) {
      const { queue, id } = await find(call)
      return { changed: await call.kernel.port('queue').promote(queue, id) }
    },
  }),
  route({
    id: 'removeJob',
    method: 'DELETE',
    path: 'jobs/:queue/:job',
    action: 'jobs.remove',
    summary: 'Remove a job that is not running',
    answer: answers.changed,
    async handle(call) {
      const found = await known(call)
      return { changed: found !== undefined && (await call.kernel.port('queue').remove(found.queue, found.id)) }
    },
  }),
]
