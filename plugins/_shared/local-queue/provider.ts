import {
  callListener,
  QueueError,
  type EnqueueReceipt,
  type JobDraft,
  type JobQuery,
  type JobRecord,
  type Kernel,
  type QueueEvent,
  type QueueListener,
  type QueueProvider,
  type RunOutcome,
} from '../../../kernel/index.ts'
import { checkDraft } from '../check-draft.ts'
import { endedByOutcome } from '../ended.ts'
import { cloneValue, copyValue } from '../value.ts'
import type { OpenConsumer } from '../worker-manager.ts'
import type { QueueJournal } from './journal.ts'
import { createQueue, type LocalQueue, type QueueHost } from './queue.ts'
import { createTurns } from './turns.ts'
import { createEntry, type Entry } from './waiting.ts'

export interface LocalQueueOptions {
  durable: boolean
  /** How many jobs may wait in one queue, delayed ones included; then `enqueue` throws `QUEUE_FULL`. */
  maxQueueSize: number
  /** The section of the configuration that sets it, for the error. */
  configKey: string
  /** What a durable adapter notes of each change. */
  journal?: QueueJournal
}

/** The queues of one process, and what an adapter needs of them beside the port. */
export interface LocalQueues {
  provider: QueueProvider
  /** Opens the consumer of a queue. */
  open: OpenConsumer
  /** Takes jobs in that an earlier process has left, in the order in which they were enqueued. */
  restore(queue: string, jobs: readonly JobRecord[], paused: boolean): void
  jobsOf(queue: string): JobRecord[]
}

type Listeners = { queue: string; event: QueueEvent | '*'; listener: QueueListener }

export function createLocalQueues(
  kernel: Pick<Kernel, 'clock' | 'config' | 'reporter'>,
  { durable, maxQueueSize, configKey, journal }: LocalQueueOptions,
): LocalQueues {
  const queues = new Map<string, LocalQueue>()
  const listeners = new Set<Listeners>()
  /** Ended jobs by outcome, the one that ended first in front. */
  const ended = endedByOutcome<Entry>()

  const host: QueueHost = {
    get clock() {
      return kernel.clock
    },
    start: createTurns(),
    journal,
    emit(event, queue, entry) {
      if (listeners.size === 0) return
      for (const wanted of listeners) {
        if ((wanted.queue !== '*' && wanted.queue !== queue) || (wanted.event !== '*' && wanted.event !== event))
          continue
        callListener(kernel.reporter, `A listener of queue "${queue}" failed.`, () =>
          wanted.listener(event, queue, entry && { ...entry.record }),
        )
      }
    },
    unstorable({ record }, problem) {
      kernel.reporter.error(`How job "${record.id}" ended cannot be stored; it will run again.`, problem)
    },
    ended(entry) {
      const { state, finishedAt } = entry.record
      entry.ended = ended[state as RunOutcome].add(entry, finishedAt!)
    },
  }

  function queueOf(name: string): LocalQueue {
    let queue = queues.get(name)
    if (!queue) queues.set(name, (queue = createQueue(name, host)))
    return queue
  }

  function find(queue: string, id: string): Entry | undefined {
    return queues.get(queue)?.jobs.get(id)
  }

  function assertRoom(name: string, more: number): void {
    const size = queues.get(name)?.size ?? 0
    if (size + more <= maxQueueSize) return
    const hint = `Enqueue more slowly, add concurrency, or raise ${configKey}.maxQueueSize.`
    throw new QueueError('QUEUE_FULL', `Queue "${name}" holds ${size} of at most ${maxQueueSize} jobs. ${hint}`, {
      details: { queue: name, size, maxQueueSize },
    })
  }

  /** A record of its own, or the receipt of the job that has the id already. */
  function copyJob(draft: JobDraft): Entry {
    checkDraft(draft)
    const data = copyValue(draft.data, kernel.config.payloadLimit, `data of job "${draft.name}"`)
    flatten(draft.id)
    return createEntry({
      id: draft.id,
      queue: draft.queue,
      name: draft.name,
      data,
      runId: draft.runId,
      // Frozen ones are the defaults of a worker, which all its jobs may share.
      options: Object.isFrozen(draft.options) ? draft.options : cloneValue(draft.options),
      priority: draft.priority,
      createdAt: draft.createdAt,
      runAt: draft.runAt,
      flow: draft.flow,
      state: 'waiting',
      attemptsMade: 0,
      claims: 0,
      crashes: 0,
      round: 0,
      startedAt: undefined,
      finishedAt: undefined,
      progress: undefined,
      result: undefined,
      error: undefined,
    })
  }

  function known({ queue, id }: JobDraft): EnqueueReceipt | undefined {
    const there = find(queue, id)
    return there && { id, runId: there.record.runId, deduplicated: true }
  }

  function add(entry: Entry): EnqueueReceipt {
    const { queue, id, runId } = entry.record
    queueOf(queue).add(entry)
    return { id, runId, deduplicated: false }
  }

  /** Takes an ended job off the list of those that expire. */
  function unlist(entry: Entry): void {
    if (entry.ended) ended[entry.record.state as RunOutcome].remove(entry.ended)
    entry.ended = undefined
  }

  function forget(entry: Entry): void {
    const { queue } = entry.record
    host.emit('removed', queue, entry)
    queueOf(queue).remove(entry)
    journal?.removed(queue, entry.record.id)
  }

  const provider: QueueProvider = {
    capabilities: {
      durable,
      shared: false,
      delay: true,
      priority: true,
      maxQueueSize: true,
      progress: true,
      transaction: false,
    },
    enqueue(draft) {
      const receipt = known(draft)
      if (receipt) return receipt
      if (maxQueueSize !== Infinity) assertRoom(draft.queue, 1)
      return add(copyJob(draft))
    },
    enqueueMany(drafts) {
      const unknown = drafts.filter((draft) => !known(draft))
      for (const [queue, group] of Map.groupBy(unknown, ({ queue }) => queue)) {
        assertRoom(queue, new Set(group.map(({ id }) => id)).size)
      }
      const entries = drafts.map(copyJob)
      return entries.map((entry) => known(entry.record) ?? add(entry))
    },
    getJob: (queue, id) => cloneValue(find(queue, id)?.record),
    getJobs({ queue, name, states, runId, limit = 100, offset = 0 }: JobQuery = {}) {
      const searched = [...queues].flatMap(([key, one]) => (queue === undefined || key === queue ? [one] : []))
      const found: JobRecord[] = []
      for (const { jobs } of searched) {
        for (const { record } of jobs.values()) {
          if (states && !states.includes(record.state)) continue
          if ((name !== undefined && record.name !== name) || (runId !== undefined && record.runId !== runId)) continue
          found.push(record)
        }
      }
      if (searched.length > 1) found.sort((a, b) => a.createdAt - b.createdAt)
      return found.slice(offset, offset + limit).map(cloneValue)
    },
    getJobCounts(name) {
      const counts = { waiting: 0, delayed: 0, active: 0, completed: 0, failed: 0, cancelled: 0 }
      const queue = queues.get(name)
      if (!queue) return counts
      for (const { record } of queue.jobs.values()) counts[record.state]++
      return counts
    },
    getQueues: () =>
      [...queues].flatMap(([name, { jobs, hasConsumer }]) => (jobs.size > 0 || hasConsumer ? [name] : [])),
    pause: (queue) => queueOf(queue).setPaused(true),
    resume: (queue) => queueOf(queue).setPaused(false),
    isPaused: (queue) => queues.get(queue)?.paused ?? false,
    retry(queue, id) {
      const entry = find(queue, id)
      if (!entry) throw new QueueError('JOB_NOT_FOUND', `Queue "${queue}" holds no job "${id}".`)
      const { state, round } = entry.record
      if (state !== 'failed' && state !== 'cancelled') {
        throw new QueueError('JOB_STATE', `Job "${id}" is ${state}; only a failed or cancelled job can be retried.`)
      }
      unlist(entry)
      const fresh = { attemptsMade: 0, crashes: 0, round: round + 1, error: undefined, finishedAt: undefined }
      queueOf(queue).readmit(entry, { ...fresh, progress: undefined })
    },
    promote(queue, id) {
      const entry = find(queue, id)
      if (entry?.record.state === 'active') return (entry.promoted = true)
      if (entry?.record.state !== 'delayed') return false
      queueOf(queue).readmit(entry)
      return true
    },
    cancel(queue, id) {
      const entry = find(queue, id)
      if (!entry || entry.record.state === 'active' || entry.ended) return false
      queueOf(queue).cancel(entry)
      return true
    },
    remove(queue, id) {
      const entry = find(queue, id)
      if (!entry) return false
      if (entry.record.state === 'active') {
        throw new QueueError('JOB_STATE', `Job "${id}" is active. Cancel it first.`)
      }
      unlist(entry)
      forget(entry)
      return true
    },
    clean({ outcome, ...bounds }) {
      let cleaned = 0
      for (const entry of ended[outcome].expire(bounds)) {
        forget(entry)
        cleaned++
      }
      return cleaned
    },
    on(queue, event, listener) {
      const wanted = { queue, event, listener }
      listeners.add(wanted)
      return () => void listeners.delete(wanted)
    },
    close() {
      for (const queue of queues.values()) queue.close()
      listeners.clear()
    },
  }
  return {
    provider,
    open: (name, processor, concurrency) => queueOf(name).open(processor, concurrency),
    restore(name, jobs, paused) {
      const queue = queueOf(name)
      if (paused) queue.setPaused(true)
      queue.restore(jobs.map(createEntry))
    },
    jobsOf: (name) => [...queueOf(name).jobs.values()].map(({ record }) => record),
  }
}

/**
 * Ids are put together from parts, and V8 keeps the parts (480 bytes for a UUID, 56 once flat) until
 * somebody looks at a character.
 */
function flatten(id: string): void {
  void id.charCodeAt(0)
}
