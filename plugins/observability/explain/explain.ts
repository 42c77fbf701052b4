import {
  endKey,
  QueueError,
  type JobRecord,
  type Kernel,
  type SerializedError,
  type StuckHandler,
} from '../../../kernel/index.ts'
import { countAhead } from './ahead.ts'
import { whyDelayed, whyExpired } from './delays.ts'
import { reason, type Explanation, type Reason } from './reasons.ts'

/** How many jobs are read to find the jobs that come first. */
const MAX_JOBS = 1000

/** A job that `enqueue` returned, a reference to a job, or an id alone, which is then looked up in every queue. */
export type ExplainedJob = string | { queue: string; id: string; runId?: string }

/** Creates `kernel.explain`. */
export function createExplain(kernel: Kernel) {
  const queues = kernel.port('queue')

  async function find(job: ExplainedJob): Promise<JobRecord | undefined> {
    if (typeof job !== 'string') return queues.getJob(job.queue, job.id)
    for (const queue of await queues.getQueues()) {
      const found = await queues.getJob(queue, job)
      if (found) return found
    }
    return undefined
  }

  /** Explains a job that its queue no longer holds. The log of its run may still contain its end. */
  async function explainMissing(job: ExplainedJob): Promise<Explanation> {
    const { id, queue, runId } = typeof job === 'string' ? { id: job, queue: undefined, runId: undefined } : job
    const address = { id, ...(queue !== undefined && { queue }), ...(runId !== undefined && { runId }) }
    const end = runId === undefined ? undefined : await whyEnded({ id, runId, round: 0 })
    return { ...address, reasons: [end ?? reason('unknown', {})] }
  }

  async function whyEnded(job: Pick<JobRecord, 'id' | 'runId' | 'round'>): Promise<Reason | undefined> {
    const event = await kernel.port('events').byKey(job.runId, endKey(job))
    if (!event) return undefined
    const { error, reason: why } = (event.data ?? {}) as { error?: SerializedError; reason?: string }
    const outcome = event.type.slice('step.'.length) as 'completed' | 'failed' | 'cancelled'
    return reason('ended', {
      outcome,
      at: event.ts,
      ...(error && { error }),
      ...(why !== undefined && { reason: why }),
    })
  }

  /** If the history has expired, the reason contains only what the queue knows. */
  async function ended(job: JobRecord): Promise<Reason> {
    const { state, finishedAt: at, error } = job
    const outcome = state as 'completed' | 'failed' | 'cancelled'
    return (
      (await whyEnded(job)) ?? reason('ended', { outcome, ...(at !== undefined && { at }), ...(error && { error }) })
    )
  }

  function active({ startedAt, createdAt, attemptsMade, options, crashes }: JobRecord): Reason {
    const since = startedAt ?? createdAt
    return reason('active', { since, attempt: attemptsMade + 1, attempts: options.attempts ?? 1, crashes })
  }

  /** Returns the reasons that block every job of a queue, a worker or a run. */
  async function sharedReasons({ id, queue, name, runId, flow, options }: JobRecord): Promise<Reason[]> {
    const reasons: Reason[] = []
    const run = flow ? await kernel.port('events').runs.get(runId) : undefined
    if (run && run.status !== 'running') reasons.push(reason('run-ended', { runId, status: run.status }))
    if (await queues.isPaused(queue)) reasons.push(reason('queue-paused', { queue }))
    const { fairKey, concurrencyKey } = options
    for (const { key, since } of await kernel.queue(queue).pausedKeys()) {
      if (key === fairKey || key === concurrencyKey) reasons.push(reason('key-paused', { queue, key, since }))
    }
    const worker = kernel.registry.find(queue, name, id)
    const consumed = worker && kernel.port('workers').getWorker(queue, worker.name)
    if (!consumed && !(await isConsumedElsewhere(queue, worker?.name ?? name)))
      reasons.push(worker ? reason('not-started', { worker: worker.id }) : reason('no-worker', { queue, name }))
    return reasons
  }

  async function isConsumedElsewhere(queue: string, name: string): Promise<boolean> {
    const instances = 'instances' in kernel ? await kernel.instances() : []
    return instances.some(({ workers }) => workers.some((one) => one.queue === queue && one.name === name))
  }

  async function whyWaiting(job: JobRecord): Promise<Reason[]> {
    const { queue } = job
    const waiting = await queues.getJobs({ queue, states: ['waiting'], limit: MAX_JOBS })
    const { active: running } = await queues.getJobCounts(queue)
    const reasons: Reason[] = []
    const held = await heldUntil(queue)
    if (held !== undefined) reasons.push(reason('queue-held', { until: held }))
    const limits = (await queues.getLimits?.(queue)) ?? {}
    if (limits.concurrency !== undefined && running >= limits.concurrency) {
      reasons.push(reason('queue-concurrency', { running, concurrency: limits.concurrency }))
    }
    const more = waiting.length === MAX_JOBS
    const ahead = countAhead(job, waiting)
    if (ahead.jobs > 0) reasons.push(reason('behind', { ...ahead, more }))
    const stuck = kernel.stuckHandlers().filter((handler) => handler.queue === queue)
    if (stuck.length > 0) reasons.push(stuckReason(stuck))
    const localWorkers = kernel.registry.workers.filter((worker) => worker.queue.name === queue)
    const concurrency = localWorkers.reduce(
      (sum, { worker }) => sum + worker.concurrency * (worker.batch?.size ?? 1),
      0,
    )
    if (concurrency > 0 && running >= concurrency) reasons.push(reason('busy', { running, concurrency }))
    // Whether the period is exhausted is known only to the store, which starts the job otherwise.
    if (reasons.length === 0 && limits.rate) reasons.push(reason('queue-rate', limits.rate))
    return reasons
  }

  /** Returns until when a rate limit holds the queue. The job that reached the limit is delayed until then. */
  async function heldUntil(queue: string): Promise<number | undefined> {
    const limited = kernel.registry.workers.filter(({ worker, queue: own }) => own.name === queue && worker.rateLimit)
    if (limited.length === 0) return undefined
    const delayed = await queues.getJobs({ queue, states: ['delayed'], limit: MAX_JOBS })
    const holders = delayed.filter(
      ({ name, claims, options }) =>
        claims > 0 && options.rateLimitKey === undefined && limited.some((worker) => worker.name === name),
    )
    for (const holder of holders) {
      const [why] = await whyDelayed(kernel, holder)
      if (why?.code === 'rate-limit') return why.until
    }
    return undefined
  }

  return async function explain(given: ExplainedJob): Promise<Explanation> {
    if (typeof given !== 'string' && (typeof given?.id !== 'string' || typeof given.queue !== 'string')) {
      throw new QueueError('OPTION_INVALID', 'kernel.explain received an invalid job. Pass an id, or { queue, id }.')
    }
    const job = await find(given)
    if (!job) return explainMissing(given)
    const { id, queue, name, runId, state } = job
    const facts = { id, queue, name, runId, state }
    if (state === 'active') return { ...facts, reasons: [active(job)] }
    if (state !== 'waiting' && state !== 'delayed') {
      const stuck = kernel.stuckHandlers().filter((handler) => handler.queue === queue && handler.id === id)
      return { ...facts, reasons: [await ended(job), ...(stuck.length > 0 ? [stuckReason(stuck)] : [])] }
    }
    const expired = await whyExpired(kernel, job)
    const own = await (state === 'delayed' ? whyDelayed(kernel, job) : whyWaiting(job))
    const reasons = [...expired, ...(await sharedReasons(job)), ...own]
    return { ...facts, reasons: reasons.length > 0 ? reasons : [reason('due', {})] }
  }
}

function stuckReason(stuck: readonly StuckHandler[]): Reason {
  const since = Math.min(...stuck.map((handler) => handler.since))
  return reason('stuck-handlers', { handlers: stuck.length, jobs: stuck.slice(0, 10).map(({ id }) => id), since })
}
