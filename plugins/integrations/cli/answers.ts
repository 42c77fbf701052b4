import { relative } from 'pathe'
import { didYouMean, isReserved, QueueError, type Kernel, type StoredEvent } from '../../../kernel/index.ts'
import { findRun, flowOfRun } from '../lib/find-run.ts'
import { askApi } from './api.ts'
import type { ChangedJob, QueueFacts, Results } from './protocol.ts'
import type { Method, ParamsOf } from './requests.ts'

export type Answers = { [M in Method]: (params: ParamsOf<M>) => Promise<Results[M]> }

/** What to do about an id of a run that does not exist. */
const LIST_RUNS = 'List runs with: npx nuxt-queue runs'

/** Handles each request with a kernel. */
export function createAnswers(kernel: Kernel, cwd: string): Answers {
  const store = kernel.port('events')
  const queues = kernel.port('queue')

  async function flowOf(runId: string): Promise<ReturnType<Kernel['flow']>> {
    return kernel.flow(await flowOfRun(kernel, runId, LIST_RUNS))
  }

  /** Returns the address of a job. @throws QueueError `JOB_NOT_FOUND` */
  async function findJob({ id, queue }: ParamsOf<'promote'>): Promise<ChangedJob['job']> {
    for (const candidate of queue === undefined ? await queues.getQueues() : [queue]) {
      if (await queues.getJob(candidate, id)) return { queue: candidate, id }
    }
    const where = queue === undefined ? 'No queue' : `Queue "${queue}"`
    throw new QueueError('JOB_NOT_FOUND', `${where} has a job "${id}". It may have been removed or have expired.`)
  }

  /** A paused queue is known even if it has no jobs and no workers. */
  async function assertQueue(name: string): Promise<void> {
    if ((await queues.isPaused(name)) || (await kernel.queue(name).pausedKeys()).length > 0) return
    const ofWorkers = kernel.registry.workers.map(({ queue }) => queue.name)
    const worker = kernel.registry.get(name)
    const hint = worker && ` The worker "${name}" takes jobs of the queue "${worker.queue.name}".`
    assertKnown(name, [...(await queues.getQueues()), ...ofWorkers, ...deadLetterQueues(kernel)], hint)
  }

  /** Rejects a filter by an unknown queue. It would find nothing, and hide a typing error. */
  async function assertFiltered({ queue }: { queue?: string }): Promise<void> {
    if (queue !== undefined && !isReserved('queue', queue)) await assertQueue(queue)
  }

  async function factsOf(name: string): Promise<QueueFacts> {
    const [counts, paused, pausedKeys] = await Promise.all([
      queues.getJobCounts(name),
      queues.isPaused(name),
      kernel.queue(name).pausedKeys(),
    ])
    return { name, paused, ...(pausedKeys.length > 0 && { pausedKeys }), counts }
  }

  return {
    hello: async () => ({ pid: process.pid, cwd }),
    async enqueue({ worker, data, id, delay, tags, headers }) {
      if (!kernel.registry.get(worker)) throw unknownWorker(kernel, worker)
      return kernel.enqueue(worker, data, {
        ...(id !== undefined && { id }),
        ...(delay !== undefined && { delay }),
        ...(tags && { tags }),
        ...(headers && { headers }),
      })
    },
    async result(job) {
      const { flow } = (await kernel.port('queue').getJob(job.queue, job.id)) ?? {}
      return flow ? kernel.flow(flow.name).result(job.runId) : kernel.result(job)
    },
    runs: async (filter) => store.runs.list({ ...filter, hideInternal: true }),
    async jobs(search) {
      const found = await kernel.findJobs(search)
      if (found.jobs.length === 0) await assertFiltered(search)
      return found
    },
    async run({ runId }) {
      const run = await findRun(kernel, runId, LIST_RUNS)
      return { run, events: await store.read(runId) }
    },
    explain: ({ id, queue }) => kernel.explain(queue === undefined ? id : { queue, id }),
    async retry({ edited = {}, ...address }) {
      const job = await findJob(address)
      await kernel.retry(job, edited)
      return { changed: true, job }
    },
    async duplicate({ edited, newId, delay, ...address }) {
      const job = await findJob(address)
      return kernel.duplicate(job, {
        ...edited,
        ...(newId !== undefined && { id: newId }),
        ...(delay !== undefined && { delay }),
      })
    },
    async reschedule({ delay, ...address }) {
      const job = await findJob(address)
      return { changed: await kernel.reschedule(job, { delay }), job }
    },
    async cancel({ reason, ...address }) {
      const job = await findJob(address)
      return { changed: await kernel.cancel(job, { reason }), job }
    },
    async promote(address) {
      const job = await findJob(address)
      return { changed: await queues.promote(job.queue, job.id), job }
    },
    async remove(address) {
      const job = await findJob(address)
      return { changed: await queues.remove(job.queue, job.id), job }
    },
    async bulk({ action, filter, wait, limit, reason }) {
      await assertFiltered(filter)
      const options = { ...(limit !== undefined && { limit }), ...(reason !== undefined && { reason }) }
      const started = await kernel.bulk(action, filter, options)
      return wait ? started.ended() : started.report()
    },
    async countBulk({ action, filter }) {
      await assertFiltered(filter)
      return kernel.countBulk(action, filter)
    },
    bulkReport: ({ id }) => kernel.bulkReport(id),
    bulkReports: (query) => kernel.bulkReports(query),
    abortBulk: ({ id }) => kernel.abortBulk(id),
    async events({ runId, after, limit, wait }) {
      // Looked up first: if the run had ended before the events were read, there are no further events.
      const { status } = await findRun(kernel, runId, LIST_RUNS)
      const events = await readOrWait(kernel, runId, { after, limit, wait: status === 'running' ? wait : 0 })
      return { events, ended: status !== 'running' }
    },
    async queues({ internal }) {
      const workers = kernel.registry.workers.map((worker) => worker.queue.name)
      const names = new Set([...(await queues.getQueues()), ...workers])
      const shown = [...names].filter((name) => internal || !isReserved('queue', name)).toSorted()
      return Promise.all(shown.map(factsOf))
    },
    async pause({ queue, ...options }) {
      await assertQueue(queue)
      await kernel.queue(queue).pause(options)
      return factsOf(queue)
    },
    async resume({ queue, ...options }) {
      await assertQueue(queue)
      await kernel.queue(queue).resume(options)
      return factsOf(queue)
    },
    async limit({ queue: name, change }) {
      await assertQueue(name)
      const queue = kernel.queue(name)
      if (Object.keys(change).length > 0) await queue.setLimits(change)
      return { name, limits: await queue.limits() }
    },
    async redrive({ queue, limit }) {
      const moved = await kernel.redrive(queue, { limit })
      if (moved.length === 0) assertKnown(queue, [...(await queues.getQueues()), ...deadLetterQueues(kernel)])
      return moved
    },
    doctor: () => kernel.diagnose(),
    waits: (query) => kernel.openWaits(query),
    workers: async () =>
      kernel.registry.workers
        .filter(({ queue }) => !isReserved('queue', queue.name))
        .map(({ id, queue, worker: { runtime, concurrency }, absPath }) => ({
          id,
          queue: queue.name,
          runtime,
          concurrency,
          ...(absPath !== undefined && { file: relative(cwd, absPath) }),
        })),
    schedules: async () =>
      (await kernel.scheduleDetails()).map(
        ({ name, next, cron, timeZone, every, at, worker, flow, paused, removed, recent }) => ({
          name,
          rule: [cron, timeZone, every && `every ${every} ms`, at && `at ${new Date(at).toISOString()}`]
            .filter(Boolean)
            .join(' '),
          target: worker === undefined ? `flow ${flow}` : `worker ${worker}`,
          ...{ next, paused, removed, last: recent[0]?.status },
        }),
      ),
    async changeSchedule({ name, change }) {
      await kernel[`${change}Schedule`](name)
      return true
    },
    async saveSchedule({ name, schedule }) {
      await kernel.saveSchedule(name, schedule)
      return true
    },
    backfillSchedule: ({ name, ...range }) => kernel.backfillSchedule(name, range),
    triggers: () => kernel.triggerDetails(),
    async changeTrigger({ name, change }) {
      await kernel[`${change}Trigger`](name)
      return true
    },
    async saveTrigger({ name, trigger }) {
      // The kernel checks it.
      await kernel.saveTrigger(name, trigger as unknown as Parameters<Kernel['saveTrigger']>[1])
      return true
    },
    fireTrigger: ({ name, payload, id }) => kernel.emitTrigger(name, payload, id === undefined ? {} : { id }),
    triggerHistory: ({ name, ...query }) => kernel.triggerHistory(name, query),
    errors: (filter) => kernel.errors(filter),
    setErrorStatus: ({ fingerprint, status }) => kernel.setErrorStatus(fingerprint, status),
    audit: (query) => kernel.audit(query),
    async api(request) {
      const response = await askApi(kernel, request)
      return { status: response.status, text: await response.text() }
    },
    stats: ({ since, ...query }) => kernel.stats({ ...query, from: Math.max(0, kernel.clock.now() - since) }),
    queryRun: async ({ runId, name, input }) => (await flowOf(runId)).query(runId, name, input),
    updateRun: async ({ runId, name, input, id }) =>
      (await flowOf(runId)).update(runId, name, input, id === undefined ? {} : { id }),
    signalRun: async ({ runId, name, payload, id }) =>
      (await flowOf(runId)).signal(runId, name, payload, id === undefined ? {} : { id }),
    async state({ runId, at }) {
      await findRun(kernel, runId, LIST_RUNS)
      return kernel.state(runId, { at })
    },
  }
}

function deadLetterQueues({ registry }: Kernel): string[] {
  return registry.workers.flatMap(({ worker }) => worker.deadLetter ?? [])
}

/** The name of a queue without jobs and without a worker is probably a typing error. */
function assertKnown(queue: string, known: readonly string[], ofWorker?: string): void {
  if (known.includes(queue)) return
  const names = [...new Set(known)].filter((name) => !isReserved('queue', name))
  const hint = `${ofWorker ?? didYouMean(queue, names)} Known: ${names.join(', ') || 'none'}.`
  throw new QueueError('OPTION_INVALID', `There is no queue "${queue}".${hint}`)
}

function unknownWorker(kernel: Kernel, id: string): QueueError {
  const known = kernel.registry.workers.map((worker) => worker.id).filter((other) => !isReserved('queue', other))
  const hint = `${didYouMean(id, known)} Known: ${known.join(', ') || 'none'}.`
  return new QueueError('WORKER_UNKNOWN', `There is no worker "${id}".${hint}`)
}

/** Returns events of a run after a `seq`. If there are none, waits for the first. */
async function readOrWait(
  kernel: Kernel,
  runId: string,
  { after, limit, wait }: { after: number; limit: number; wait: number },
): Promise<readonly StoredEvent[]> {
  const store = kernel.port('events')
  const stored = await store.read(runId, { after, limit })
  if (stored.length > 0 || wait === 0) return stored
  const arrived = Promise.withResolvers<void>()
  const stopTimer = kernel.clock.setTimeout(arrived.resolve, wait)
  const stop = await store.subscribe(runId, { after }, () => arrived.resolve())
  try {
    await arrived.promise
  } finally {
    stop()
    stopTimer()
  }
  return store.read(runId, { after, limit })
}
