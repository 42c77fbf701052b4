import { z } from 'zod'
import { isReserved, type Kernel, type MaybePromise } from '../../../../kernel/index.ts'
import * as answers from './answers.ts'
import { largeCount } from '../../../lib/large-counts.ts'
import { createQueueCounter } from '../../../observability/lib/queue-counts.ts'
import { route, type Route } from './route.ts'
import { count, flag, ms, name } from './values.ts'

/** The maximum number of dead letters that one request moves. */
const MAX_LETTERS = 10_000

type QueueInfo = z.infer<typeof answers.queue>

/** How many queues are looked up at the same time. */
const AT_ONCE = 16

async function mapQueues<T>(names: readonly string[], look: (name: string) => MaybePromise<T>): Promise<T[]> {
  const found: T[] = []
  for (let from = 0; from < names.length; from += AT_ONCE) {
    found.push(...(await Promise.all(names.slice(from, from + AT_ONCE).map(async (name) => look(name)))))
  }
  return found
}

const counters = new WeakMap<Kernel, ReturnType<typeof createQueueCounter>>()

/** Counts the jobs of queues, and finds the oldest waiting job of each. */
async function countsOf(kernel: Kernel, names: readonly string[]): Promise<QueueInfo[]> {
  const count = counters.get(kernel) ?? createQueueCounter(kernel)
  counters.set(kernel, count)
  const counted = await count(names)
  const paused = await mapQueues(names, (name) => kernel.port('queue').isPaused(name))
  return counted.map(({ queue, counts, oldest }, index) => {
    const info = { name: queue, paused: paused[index]!, counts }
    return oldest === undefined ? info : { ...info, oldest: oldest.due }
  })
}

async function infoOf(kernel: Kernel, name: string): Promise<QueueInfo> {
  const queues = kernel.port('queue')
  const count = async () => ({ counts: await queues.getJobCounts(name) })
  const [{ counts }, paused, limits = {}, pausedKeys] = await Promise.all([
    largeCount(kernel, `queue ${name}`, count),
    queues.isPaused(name),
    queues.getLimits?.(name),
    kernel.queue(name).pausedKeys(),
  ])
  const info = { name, paused, counts, ...(Object.keys(limits).length > 0 && { limits }) }
  return { ...info, ...(pausedKeys.length > 0 && { pausedKeys }) }
}

const pausing = z.strictObject({
  /** Only the jobs with this `fairKey` or `concurrencyKey`. Default: all jobs. */
  key: name.optional(),
})

export const queueRoutes: readonly Route[] = [
  route({
    id: 'listQueues',
    method: 'GET',
    path: 'queues',
    action: 'queues.read',
    summary: 'List the queues that have jobs, a worker or a consumer',
    query: z.strictObject({
      /** Whether to include the queues of plugins. */
      internal: flag,
    }),
    answer: z.object({ queues: z.array(answers.queue) }),
    async handle({ kernel, query, mayRead }) {
      const workers = kernel.registry.workers.map((worker) => worker.queue.name)
      const names = new Set([...(await kernel.port('queue').getQueues()), ...workers])
      const shown = [...names].filter((name) => query.internal || !isReserved('queue', name)).toSorted()
      const allowed = await mapQueues(shown, (queue) => mayRead({ type: 'queues.read', queue }))
      return {
        queues: await countsOf(
          kernel,
          shown.filter((_queue, index) => allowed[index]),
        ),
      }
    },
  }),
  route({
    id: 'getQueue',
    method: 'GET',
    path: 'queues/:queue',
    action: 'queues.read',
    summary: 'Get a queue. An unused queue is empty',
    answer: answers.queue,
    handle: ({ kernel, params }) => infoOf(kernel, params.queue),
  }),
  route({
    id: 'pauseQueue',
    method: 'POST',
    path: 'queues/:queue/pause',
    action: 'queues.pause',
    destructive: false,
    idempotent: true,
    summary: 'Pause a queue, or the jobs with a key, in all processes',
    body: pausing,
    answer: answers.queue,
    async handle({ kernel, params, body }) {
      await kernel.queue(params.queue).pause(body)
      return infoOf(kernel, params.queue)
    },
  }),
  route({
    id: 'resumeQueue',
    method: 'POST',
    path: 'queues/:queue/resume',
    action: 'queues.resume',
    destructive: false,
    idempotent: true,
    summary: 'Resume a paused queue or key',
    body: pausing,
    answer: answers.queue,
    async handle({ kernel, params, body }) {
      await kernel.queue(params.queue).resume(body)
      return infoOf(kernel, params.queue)
    },
  }),
  route({
    id: 'limitQueue',
    method: 'POST',
    path: 'queues/:queue/limits',
    action: 'queues.limit',
    destructive: false,
    idempotent: true,
    summary: 'Change how many jobs of a queue run at once and start in a period, in all processes',
    body: z.strictObject({
      /** How many jobs run at once. `null` removes the limit. */
      concurrency: count.nullish(),
      /** How many jobs start in a period of milliseconds. `null` removes the limit. */
      rate: z.strictObject({ limit: count, period: ms.min(1) }).nullish(),
    }),
    answer: answers.queue,
    async handle({ kernel, params, body }) {
      await kernel.queue(params.queue).setLimits(body)
      return infoOf(kernel, params.queue)
    },
  }),
  route({
    id: 'redriveQueue',
    method: 'POST',
    path: 'queues/:queue/redrive',
    action: 'queues.redrive',
    destructive: false,
    summary:
      'Move dead letters back to their original queues, oldest first. Jobs that you may not read are moved but not listed',
    body: z.strictObject({
      /** The maximum number of letters to move, up to 10,000. Default 1000. */
      limit: count.max(MAX_LETTERS).default(1000),
    }),
    answer: z.object({ moved: z.array(z.object({ letter: z.string(), job: answers.enqueued })) }),
    async handle({ kernel, params, body, mayRead }) {
      const moved = []
      for (const one of await kernel.redrive(params.queue, body)) {
        const { queue, id: job, runId } = one.job
        if (await mayRead({ type: 'jobs.read', queue, job, runId })) moved.push(one)
      }
      return { moved }
    },
  }),
]
