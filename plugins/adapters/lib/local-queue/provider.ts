import {
  callListener,
  hasGivenId,
  QueueError,
  type EnqueueReceipt,
  type JobDraft,
  type JobFilter,
  type JobQuery,
  type JobRecord,
  type Kernel,
  type QueueEvent,
  type QueueListener,
  type QueueProvider,
  type RunOutcome,
} from '../../../../kernel/index.ts'
import { EndedLists } from '../ended.ts'
import { createMatcher } from '../job-search/match.ts'
import { selectNewest } from '../job-search/newest.ts'
import { noCounts } from '../job-search/search.ts'
import { checkRemovable } from '../job-marks.ts'
import { cloneValue } from '../../../lib/value.ts'
import type { OpenConsumer } from '../worker-manager.ts'
import { copyJob, flatten } from './copy-job.ts'
import { createForgotten, type ForgottenJob } from './forgotten.ts'
import type { LeftQueue, QueueJournal } from './journal.ts'
import { createQueue, type LocalQueue, type QueueHost } from './queue.ts'
import { retried } from './retried.ts'
import { createCallbackScheduler } from './callback-scheduler.ts'
import { createEntry, type JobEntry } from './entry.ts'
import type { JobCopies } from '../store-copy.ts'
import { createLocalJobCopies } from './copies.ts'

export interface LocalQueueOptions {
  durable: boolean
  /** The maximum number of jobs that wait in one queue, including delayed ones. Beyond it, `enqueue` throws `QUEUE_FULL`. */
  maxQueueSize: number
  /** The section of the configuration that sets `maxQueueSize`. The error message names it. */
  configKey: string
  /** Records each change, in a durable adapter. */
  journal?: QueueJournal
}

/** The queues of one process: the port, and additional functions for the adapter. */
export interface LocalQueues {
  provider: QueueProvider
  copies: JobCopies
  /** Opens the consumer of a queue. */
  open: OpenConsumer
  /** Restores the jobs that an earlier process left, in the order in which they were enqueued. */
  restore(queue: string, left: Omit<LeftQueue, 'queue'>): void
  jobsOf(queue: string): JobRecord[]
  /** Returns the removed jobs of a queue whose ids are still remembered. */
  forgottenOf(queue: string): ForgottenJob[]
}

type Listeners = { queue: string; event: QueueEvent | '*'; listener: QueueListener }

export function createLocalQueues(
  kernel: Pick<Kernel, 'clock' | 'config' | 'reporter'>,
  { durable, maxQueueSize, configKey, journal }: LocalQueueOptions,
): LocalQueues {
  const { payloadLimit } = kernel.config
  const queues = new Map<string, LocalQueue>()
  const listeners = new Set<Listeners>()
  const ended = new EndedLists<JobEntry>()
  const forgotten = createForgotten()

  const host: QueueHost = {
    get clock() {
      return kernel.clock
    },
    start: createCallbackScheduler(),
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
      kernel.reporter.error(`The outcome of job "${record.id}" cannot be stored. The job will run again.`, problem)
    },
    ended(entry) {
      const { queue, state, finishedAt } = entry.record
      entry.ended = ended.add(entry, { queue, outcome: state as RunOutcome, endedAt: finishedAt! })
    },
  }

  function queueOf(name: string): LocalQueue {
    const queue = queues.get(name) ?? createQueue(name, host)
    if (!queues.has(name)) queues.set(name, queue)
    return queue
  }

  const find = (queue: string, id: string): JobEntry | undefined => queues.get(queue)?.jobs.get(id)

  function assertRoom(name: string, more: number): void {
    const size = queues.get(name)?.size ?? 0
    if (size + more <= maxQueueSize) return
    const hint = `Enqueue more slowly, add concurrency, or raise ${configKey}.maxQueueSize.`
    throw new QueueError('QUEUE_FULL', `Queue "${name}" holds ${size} of at most ${maxQueueSize} jobs. ${hint}`, {
      details: { queue: name, size, maxQueueSize },
    })
  }

  /** Returns the receipt of a job whose id is taken by another job, or is remembered. */
  function findDuplicate(draft: JobDraft): EnqueueReceipt | undefined {
    const { queue, id } = draft
    const existing = find(queue, id)?.record ?? (hasGivenId(draft) ? findForgotten(queue, id) : undefined)
    return existing && { id, runId: existing.runId, deduplicated: true }
  }

  const findForgotten = (queue: string, id: string): ForgottenJob | undefined =>
    forgotten.find(queue, id, kernel.clock.now())

  function add(entry: JobEntry): EnqueueReceipt {
    const { queue, id, runId } = entry.record
    queueOf(queue).add(entry)
    return { id, runId, deduplicated: false }
  }

  /** The jobs that a filter has to compare. */
  function* recordsOf({ queue, id }: JobFilter): Generator<JobRecord> {
    for (const [name, { jobs }] of queues) {
      if (queue !== undefined && name !== queue) continue
      if (id === undefined) for (const { record } of jobs.values()) yield record
      else if (jobs.get(id)) yield jobs.get(id)!.record
    }
  }

  /** Removes an ended job from the list of jobs that expire, and returns it. */
  function unlist(entry: JobEntry): JobEntry {
    if (entry.ended) ended.remove(entry.ended)
    return Object.assign(entry, { ended: undefined })
  }

  /** @param remembered what stays known of the job */
  function forget(entry: JobEntry, remembered?: ForgottenJob): void {
    const { queue, id } = entry.record
    host.emit('removed', queue, entry)
    queueOf(queue).remove(entry)
    if (remembered) forgotten.add(remembered)
    journal?.removed(queue, id, remembered)
  }

  function rememberedFor({ record }: JobEntry, rememberFor: number, now: number): ForgottenJob | undefined {
    const { queue, id, runId, state, finishedAt } = record
    const until = finishedAt! + rememberFor
    if (until <= now || !hasGivenId(record)) return undefined
    flatten(runId)
    return { queue, id, runId, outcome: state as RunOutcome, until }
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
      search: true,
      searchData: true,
      fairness: true,
      queueLimits: true,
    },
    enqueue(draft) {
      const receipt = findDuplicate(draft)
      if (receipt) return receipt
      if (maxQueueSize !== Infinity) assertRoom(draft.queue, 1)
      return add(copyJob(draft, payloadLimit))
    },
    enqueueMany(drafts) {
      const unknown = drafts.filter((draft) => !findDuplicate(draft))
      for (const [queue, group] of Map.groupBy(unknown, ({ queue }) => queue)) {
        assertRoom(queue, new Set(group.map(({ id }) => id)).size)
      }
      const entries = drafts.map((draft) => copyJob(draft, payloadLimit))
      return entries.map((entry) => findDuplicate(entry.record) ?? add(entry))
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
      const counts = noCounts()
      for (const { record } of queues.get(name)?.jobs.values() ?? []) counts[record.state]++
      return counts
    },
    findJobs(search) {
      const found = selectNewest(recordsOf(search), search)
      return { ...found, jobs: found.jobs.map(cloneValue) }
    },
    countJobs(filter) {
      const matches = createMatcher(filter)
      const counts = noCounts()
      for (const record of recordsOf(filter)) if (matches(record)) counts[record.state]++
      return { counts, truncated: false }
    },
    getQueues: () =>
      [...queues].flatMap(([name, { jobs, hasConsumer }]) => (jobs.size > 0 || hasConsumer ? [name] : [])),
    pause: (queue) => queueOf(queue).setPaused(true),
    resume: (queue) => queueOf(queue).setPaused(false),
    isPaused: (queue) => queues.get(queue)?.paused ?? false,
    setLimits: (queue, change) => queueOf(queue).setLimits(change),
    getLimits: (queue) => cloneValue(queues.get(queue)?.limits() ?? {}),
    retry(queue, id, options = {}) {
      const entry = find(queue, id)
      if (!entry) throw new QueueError('JOB_NOT_FOUND', `Queue "${queue}" has no job "${id}".`)
      const changes = retried(entry.record, options, payloadLimit)
      queueOf(queue).readmit(unlist(entry), changes)
    },
    reschedule(queue, id, runAt) {
      const entry = find(queue, id)
      if (!entry || entry.record.state === 'active' || entry.ended) return false
      queueOf(queue).readmit(entry, {}, Math.max(runAt, kernel.clock.now()))
      return true
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
    remove(queue, id, expected) {
      const entry = find(queue, id)
      if (!entry) {
        const wasRemembered = !expected && forgotten.drop(queue, id)
        if (wasRemembered) journal?.removed(queue, id)
        return wasRemembered
      }
      checkRemovable(entry.record, expected)
      unlist(entry)
      forget(entry)
      return true
    },
    clean({ rememberFor = 0, ...policy }) {
      const now = kernel.clock.now()
      forgotten.sweep(now)
      let cleaned = 0
      for (const entry of ended.expire(policy)) {
        forget(entry, rememberedFor(entry, rememberFor, now))
        cleaned++
      }
      return cleaned
    },
    forgotten: (queue, id) => findForgotten(queue, id)?.runId,
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
    copies: createLocalJobCopies({ provider, queues, queueOf, forgotten, journal }),
    open: (name, processor, concurrency) => queueOf(name).open(processor, concurrency),
    restore(name, left) {
      const queue = queueOf(name)
      if (left.paused) queue.setPaused(true)
      if (left.limits) queue.setLimits(left.limits)
      queue.restore(left.jobs.map(createEntry))
      for (const job of left.forgotten.toSorted((a, b) => a.until - b.until)) forgotten.add(job)
    },
    jobsOf: (name) => [...queueOf(name).jobs.values()].map(({ record }) => record),
    forgottenOf: (name) => forgotten.of(name),
  }
}
