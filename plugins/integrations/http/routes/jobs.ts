import { z } from 'zod'
import {
  isReserved,
  QueueError,
  unknownKey,
  type JobRecord,
  type Kernel,
  type WorkerDefinition,
} from '../../../../kernel/index.ts'
import * as answers from './answers.ts'
import { route, type Call, type Route } from './route.ts'
import { bodyMoment, count, limit, ms, name, priority, prose, reference, whole, words } from './values.ts'

/** The largest offset in a list of jobs. Stores read all entries before it. */
const MAX_OFFSET = 100_000

/** The name of a queue that does not belong to a plugin. */
const queueName = name.refine((queue) => !isReserved('queue', queue), 'Names that start with "_" belong to plugins')

/** The options of every caller. `assertOptions` checks further ones that the application defined with `http: true`. */
const options = z.looseObject({
  /** The id of the job. If the queue knows a job with this id, that job is returned. */
  id: name.optional(),
  attempts: count.optional(),
  backoff: z
    .union([
      ms,
      z.strictObject({
        type: z.enum(['fixed', 'exponential']),
        delay: ms,
        maxDelay: ms.optional(),
        jitter: z.number().min(0).max(1).optional(),
      }),
    ])
    .optional(),
  /** Milliseconds, or the ISO date before which the job does not run. */
  delay: bodyMoment.optional(),
  priority: priority.optional(),
  ageing: ms.optional(),
  timeout: ms.optional(),
  concurrencyKey: name.optional(),
  rateLimitKey: name.optional(),
  deadLetter: queueName.optional(),
  /** `delay` is the deprecated name of `period`. */
  debounce: z
    .strictObject({ key: name.optional(), period: ms.optional(), delay: ms.optional(), maxWait: ms.optional() })
    .optional(),
  /** `max` is the deprecated name of `limit`. */
  throttle: z
    .strictObject({ key: name.optional(), limit: count.optional(), period: ms, max: count.optional() })
    .optional(),
})

/** @throws QueueError `VALIDATION_FAILED` for an option that HTTP callers may not set */
function assertOptions(kernel: Kernel, given: object): void {
  const custom = [...kernel.customJobOptions].filter(([, { http }]) => http).map(([key]) => key)
  const known = [...Object.keys(options.shape), ...custom]
  const unknown = Object.keys(given).find((key) => !known.includes(key))
  if (unknown !== undefined) throw unknownKey('The options of a job', unknown, known, 'VALIDATION_FAILED')
}

type JobCall = Pick<Call<'jobs/:queue/:job', undefined, undefined>, 'kernel' | 'params' | 'assertMay'>

/** Queues of plugins are closed to HTTP callers. */
function workerOf(kernel: Kernel, id: unknown): WorkerDefinition | undefined {
  const worker = typeof id === 'string' ? kernel.registry.get(id) : undefined
  return worker && isReserved('queue', worker.queue.name) ? undefined : worker
}

/**
 * Returns the job of a path, or `undefined`. The request is authorized again now that the run is known, because tenants
 * are often distinguished by their runs.
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

export const jobRoutes: readonly Route[] = [
  route({
    id: 'listJobs',
    method: 'GET',
    path: 'jobs',
    action: 'jobs.read',
    summary:
      'List jobs, with the oldest first. A page may have fewer entries than its limit. To list jobs of plugins, name their queue',
    query: z.strictObject({
      queue: reference.optional(),
      name: reference.optional(),
      runId: reference.optional(),
      state: words(answers.state.options).optional(),
      limit: limit(100, 1000),
      offset: whole(MAX_OFFSET).default(0),
    }),
    answer: z.object({
      jobs: z.array(answers.job),
      /** The offset of the next page, if there may be one. */
      next: z.number().int().optional(),
    }),
    async handle({ kernel, query: { state: states, ...query }, mayRead }) {
      const page = await kernel.port('queue').getJobs({ ...query, states })
      const jobs = []
      for (const job of page) {
        const { queue, id, runId } = job
        const shown = query.queue !== undefined || !isReserved('queue', queue)
        if (shown && (await mayRead({ type: 'jobs.read', queue, job: id, runId }))) jobs.push(job)
      }
      return { jobs, ...(page.length === query.limit && { next: query.offset + page.length }) }
    },
  }),
  route({
    id: 'enqueueJob',
    method: 'POST',
    path: 'jobs',
    action: 'jobs.enqueue',
    summary: 'Enqueue a job for a worker',
    body: z.strictObject({ worker: name, data: z.unknown().optional(), options: options.optional() }),
    answer: answers.enqueued,
    status: 202,
    subject(kernel, { worker }) {
      const known = workerOf(kernel, worker)
      return { ...(typeof worker === 'string' && { worker }), ...(known && { queue: known.queue.name }) }
    },
    async handle({ kernel, body: { worker, data, options: given = {} }, assertMay }) {
      if (!workerOf(kernel, worker)) {
        throw new QueueError('WORKER_UNKNOWN', `There is no worker "${worker}" here. List them with GET workers.`)
      }
      assertOptions(kernel, given)
      const job = await kernel.enqueue(worker, data, given)
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
      const { kernel, params, query, assertMay } = call
      const job = await kernel.port('queue').getJob(params.queue, params.job)
      const runId = job?.runId ?? query.runId
      if (runId !== undefined) await assertMay({ runId })
      return kernel.explain({ queue: params.queue, id: params.job, runId })
    },
  }),
  route({
    id: 'retryJob',
    method: 'POST',
    path: 'jobs/:queue/:job/retry',
    action: 'jobs.retry',
    summary: 'Run a failed or cancelled job again, with all its attempts',
    answer: answers.job,
    async handle(call) {
      const { queue, id } = await find(call)
      await call.kernel.retry({ queue, id })
      return find(call)
    },
  }),
  route({
    id: 'cancelJob',
    method: 'POST',
    path: 'jobs/:queue/:job/cancel',
    action: 'jobs.cancel',
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
