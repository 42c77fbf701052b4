import {
  EXPECTED,
  invalid,
  QueueError,
  type CleanPolicy,
  type EnqueueReceipt,
  type JobDraft,
  type JobQuery,
  type JobRecord,
  type JobState,
  type Kernel,
  type QueueProvider,
} from '../../../../kernel/index.ts'
import { checkDraft } from '../../lib/check-draft.ts'
import { changedJob } from '../../lib/job-marks.ts'
import { otherRound } from '../../lib/other-round.ts'
import { isOwnQueue } from '../../lib/own-queue.ts'
import { diagnoseLibrary } from '../../lib/storage-library.ts'
import { defineScript, type RedisPort } from '../lib/redis.ts'
import { createOldestFirst, type Deletion } from '../lib/oldest.ts'
import { coalesceSweeps } from '../lib/sweeps.ts'
import { copyValue } from '../../../lib/value.ts'
import { createAdder } from './adder.ts'
import { decodeJob, encodeData, runIdOf } from './job-codec.ts'
import { createJobFinder } from './job-finder.ts'
import { createJobSearch } from './job-search.ts'
import {
  CANCEL,
  REMOVE_ENDED_JOBS,
  GET,
  KNOWN,
  PAUSE,
  PROMOTE,
  REMOVE,
  RESCHEDULE,
  RETRY,
  SET_LIMITS,
} from './job-scripts.ts'
import type { Listeners } from '../../lib/listeners.ts'
import { encodeId, OWN, storedIds } from './names.ts'
import type { Queues } from './queues.ts'

/** The sorted sets of ended jobs by outcome. BullMQ has none for cancelled jobs. */
const ENDED_SETS = { completed: 'completed', failed: 'failed', cancelled: `${OWN}cancelled` } as const

export function createRedisQueueProvider(
  redis: RedisPort,
  queues: Queues,
  listeners: Listeners,
  consumed: () => readonly string[],
  kernel: Pick<Kernel, 'config'>,
): QueueProvider {
  const { client } = redis
  const add = createAdder(redis, queues)
  const search = createJobSearch(redis, queues)
  const finder = createJobFinder(redis, queues, getJob)
  const oldestFirst = createOldestFirst(redis)
  const get = defineScript(redis, GET)
  const cancel = defineScript(redis, CANCEL)
  const retry = defineScript(redis, RETRY)
  const promote = defineScript(redis, PROMOTE)
  const reschedule = defineScript(redis, RESCHEDULE)
  const remove = defineScript(redis, REMOVE)
  const forget = defineScript(redis, REMOVE_ENDED_JOBS)
  const pause = defineScript(redis, PAUSE)
  const setLimits = defineScript(redis, SET_LIMITS)
  const known = defineScript(redis, KNOWN)

  const onJob = (script: typeof get, queue: string, id: string, ...more: (string | number)[]): Promise<unknown> => {
    const base = queues.baseOf(queue)
    return script([`${base}:meta`], [base, ...storedIds(id), ...more])
  }

  /** Pauses or resumes a queue, and notifies listeners immediately, because the result of a claim may follow. */
  async function setPaused(queue: string, paused: boolean): Promise<void> {
    const base = queues.baseOf(queue)
    const changed = (await pause([`${base}:meta`], [base, paused ? 1 : 0])) === 1
    if (changed) listeners.emit(paused ? 'paused' : 'resumed', queue)
  }

  async function getJob(queue: string, id: string): Promise<JobRecord | undefined> {
    const [stored, state, ...fields] = (await onJob(get, queue, id)) as [string, JobState, ...(string | null)[]]
    return stored === undefined ? undefined : decodeJob(queue, stored, state, fields)
  }

  /** Notifies listeners of the current state of a job. Reads the job only if there are listeners. */
  async function notify(event: 'waiting' | 'delayed' | 'cancelled', queue: string, id: string): Promise<void> {
    if (!listeners.any) return
    const job = await getJob(queue, id)
    listeners.emit(event, queue, job && (() => ({ ...job })))
  }

  /** Checks and copies a draft, so that a job that cannot be stored fails before it joins a shared call. */
  function check(draft: JobDraft): JobDraft {
    checkDraft(draft)
    const { queue, id, name } = draft
    // Redis would store a different text for a text that is not well-formed.
    for (const text of [queue, id, name]) if (!text.isWellFormed()) throw invalid('Text of a job', EXPECTED.text, text)
    return { ...draft, data: checkData(name, draft.data) }
  }

  /** @throws QueueError `VALUE_UNSUPPORTED`, `PAYLOAD_TOO_LARGE` */
  function checkData(job: string, data: unknown): unknown {
    return copyValue(data, kernel.config.payloadLimit, `data of job "${job}"`)
  }

  function receiptOf(draft: JobDraft, result: string): EnqueueReceipt {
    if (result !== 'waiting' && result !== 'delayed') return { id: draft.id, runId: result, deduplicated: true }
    listeners.emit(result, draft.queue, () => freshRecord(draft, result))
    return { id: draft.id, runId: draft.runId, deduplicated: false }
  }

  const sweeps = coalesceSweeps(async ({ outcome, rememberFor = 0, ...bounds }: CleanPolicy) => {
    const byKey = new Map((await queues.list()).map((queue) => [endedKey(queue), queue]))
    function endedKey(queue: string): string {
      return `${queues.baseOf(queue)}:${ENDED_SETS[outcome]}`
    }
    const keysOf = (own: boolean): string[] => [...byKey.keys()].filter((key) => isOwnQueue(byKey.get(key)) === own)
    const counts = await Promise.all([false, true].map((own) => oldestFirst(keysOf(own), bounds, removeJobs)))
    return counts.reduce((sum, count) => sum + count)

    async function removeJobs(deletions: readonly Deletion[]): Promise<number> {
      const bounded = deletions.flatMap(({ key, upTo, limit }) => [key, queues.baseOf(byKey.get(key)!), upTo, limit])
      const reply = await forget([deletions[0]!.key], [listeners.any ? 1 : 0, Math.ceil(rememberFor), ...bounded])
      const [count, ...removed] = reply as [number, ...[string, string, ...(string | null)[]][]]
      for (const [key, id, ...fields] of removed) {
        const queue = byKey.get(key)!
        listeners.emit('removed', queue, () => decodeJob(queue, id, outcome, fields))
      }
      return count
    }
  })

  return {
    lease: redis.lease,
    capabilities: {
      durable: true,
      shared: true,
      delay: true,
      priority: true,
      maxQueueSize: false,
      progress: true,
      transaction: false,
      search: true,
      searchData: true,
      fairness: true,
      queueLimits: true,
    },
    enqueue: async (draft) => {
      const checked = check(draft)
      return receiptOf(checked, await add.one(checked))
    },
    async enqueueMany(drafts) {
      const checked = drafts.map(check)
      const results = await add.many(checked)
      return checked.map((draft, index) => receiptOf(draft, results[index]!))
    },
    getJob,
    async getJobs(query: JobQuery = {}) {
      const names = query.queue === undefined ? await queues.list() : [query.queue]
      return search.list(names, query)
    },
    async getJobCounts(queue) {
      const [counts, cancelled] = await Promise.all([
        queues.bull(queue).getJobCounts('wait', 'prioritized', 'delayed', 'active', 'completed', 'failed'),
        client.zcard(`${queues.baseOf(queue)}:${ENDED_SETS.cancelled}`),
      ])
      const { wait = 0, prioritized = 0, delayed = 0, active = 0, completed = 0, failed = 0 } = counts
      return { waiting: wait + prioritized, delayed, active, completed, failed, cancelled }
    },
    ...finder,
    async getQueues() {
      const names = await queues.list()
      const held = await Promise.all(names.map(holdsJobs))
      return [...new Set([...names.filter((_name, index) => held[index]), ...consumed()])]
    },
    pause(queue) {
      queues.record(queue)
      return setPaused(queue, true)
    },
    resume: (queue) => setPaused(queue, false),
    isPaused: async (queue) => (await client.hexists(`${queues.baseOf(queue)}:meta`, 'paused')) === 1,
    async setLimits(queue, { concurrency, rate }) {
      queues.record(queue)
      const base = queues.baseOf(queue)
      const valueOf = (value: number | null | undefined) => (value === undefined ? '-' : (value ?? ''))
      const period = rate && Math.ceil(rate.period)
      await setLimits([`${base}:meta`], [base, ...[concurrency, rate && rate.limit, period].map(valueOf)])
    },
    async getLimits(queue) {
      const fields = await client.hmget(`${queues.baseOf(queue)}:meta`, 'concurrency', 'max', 'duration')
      const [concurrency, limit, period] = fields.map((value) => (value === null ? undefined : Number(value)))
      return {
        ...(concurrency !== undefined && { concurrency }),
        ...(limit !== undefined && period !== undefined && { rate: { limit, period } }),
      }
    },
    async retry(queue, id, options = {}) {
      const edited = 'data' in options ? [encodeData(checkData(id, options.data))] : []
      const result = (await onJob(retry, queue, id, options.round ?? '', ...edited)) as string
      if (result === 'ok') return notify('waiting', queue, id)
      if (result.startsWith('#')) throw otherRound(id, Number(result.slice(1)))
      if (result === '') throw new QueueError('JOB_NOT_FOUND', `Queue "${queue}" has no job "${id}".`)
      const hint = 'Only a failed or cancelled job can be retried.'
      throw new QueueError('JOB_STATE', `Job "${id}" is ${result}. ${hint}`)
    },
    async reschedule(queue, id, runAt) {
      const result = (await onJob(reschedule, queue, id, Math.ceil(runAt))) as 'waiting' | 'delayed' | ''
      if (result === '') return false
      await notify(result, queue, id)
      return true
    },
    async promote(queue, id) {
      const result = await onJob(promote, queue, id)
      if (result === 'waiting') await notify('waiting', queue, id)
      return result !== ''
    },
    async cancel(queue, id) {
      if ((await onJob(cancel, queue, id)) === 0) return false
      await notify('cancelled', queue, id)
      return true
    },
    async remove(queue, id, expected) {
      const job = listeners.any ? await getJob(queue, id) : undefined
      const marks = expected ? [expected.state, expected.round, expected.claims, expected.createdAt] : []
      const result = await onJob(remove, queue, id, ...marks)
      if (result === 'changed') throw changedJob(id)
      if (result === 'active') throw new QueueError('JOB_STATE', `Job "${id}" is active. Cancel it first.`)
      if (result === '') return false
      if (result === 'ok') listeners.emit('removed', queue, job && (() => ({ ...job })))
      return true
    },
    async forgotten(queue, id) {
      const options = (await onJob(known, queue, id)) as string | null
      return options === null ? undefined : runIdOf(queue, encodeId(id), options)
    },
    clean: sweeps.run,
    checkHealth: () => redis.checkHealth(),
    diagnose: async () => [...(await redis.diagnose()), diagnoseLibrary('bullmq'), ...(await queues.diagnoseClients())],
    on: (queue, event, listener) => listeners.on(queue, event, listener),
    close() {
      listeners.clear()
      return sweeps.close()
    },
  }

  async function holdsJobs(queue: string): Promise<boolean> {
    const base = queues.baseOf(queue)
    const keys = ['wait', 'paused', 'prioritized', 'delayed', 'active', ...Object.values(ENDED_SETS)]
    return (await client.exists(...keys.map((key) => `${base}:${key}`))) > 0
  }
}

function freshRecord(draft: JobDraft, state: 'waiting' | 'delayed'): JobRecord {
  return { ...draft, state, attemptsMade: 0, claims: 0, crashes: 0, round: 0 }
}
