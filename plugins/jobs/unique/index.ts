import {
  definePlugin,
  QueueError,
  type DispatchPayload,
  type EmitPayload,
  type EnqueuePayload,
  type JobDraft,
  type JobRecord,
  type JobState,
  type Next,
} from '../../../kernel/index.ts'
import { keyedMutex } from '../../lib/keyed-mutex.ts'
import { storedEnd } from '../../lib/stored-end.ts'
import { copyValue } from '../../lib/value.ts'
import { jobKeyOf, jobKeyHash, refuseTogether } from '../lib/job-key.ts'
import { createWindows } from '../lib/windows.ts'
import { uniqueRule } from './options.ts'

export type { Unique } from './options.ts'

/** The first attempt of a job stores it. Later calls no longer replace its data. */
const BEGUN = 'unique.begun'
const REPLACED = 'unique.replaced'
const STATES: readonly JobState[] = ['waiting', 'delayed', 'active']

/**
 * Stores one job of a key at a time. The log of the key says which id its job has, and all instances try to store the job under this id, so
 * the queue stores one. Once that job no longer counts, one of them opens the next id.
 */
export default definePlugin({
  name: 'unique',
  requires: ['queue', 'events', 'job-options'],
  setup(kernel) {
    kernel.declareJobOption('unique', uniqueRule)
    const windows = createWindows(kernel, { name: 'unique', opened: 'unique.opened', closed: 'unique.closed' })
    const runExclusive = keyedMutex()

    kernel.hook(
      'enqueue',
      (payload, next) => runExclusive(streamFor(payload), (...turn) => store(payload, next, ...turn)),
      {
        when: ({ job }) => job.options.unique !== undefined,
      },
    )
    kernel.hook('dispatch', begin, { when: ({ job }) => replaces(job, 'data') })
    kernel.hook('emit', closeAtEnd, { when: ({ ctx }) => ctx?.job.options.unique !== undefined })
    kernel.hook('emit', closeCancelled, {
      when: ({ events }) => events[0]?.type === 'step.cancelled' && events[0].stepId?.startsWith('unique.') === true,
    })

    function streamFor(payload: EnqueuePayload): string {
      const { job } = payload
      const { debounce, throttle, unique } = job.options
      refuseTogether('unique', payload, { debounce, throttle })
      const key = jobKeyOf('unique', unique!.key, job)
      const { once: call } = payload.options
      job.options = { ...job.options, unique: { ...unique!, key, ...(call !== undefined && { call }) } }
      return `unique.${jobKeyHash(job, key)}`
    }

    async function store(payload: EnqueuePayload, next: Next, stream: string, release: () => void): Promise<void> {
      const { job } = payload
      const { queue, name } = job
      const port = kernel.port('queue')
      job.id = job.runId = await candidate(payload, stream)
      try {
        const storing = next()
        if (payload.batch) release()
        await storing
      } finally {
        if (!payload.result && !(await port.getJob(queue, job.id))) await windows.close(stream, job.id)
      }
      while (payload.result?.deduplicated && !(await isSame(payload))) {
        job.id = job.runId = await windows.current(stream, job.id)
        payload.result = { ...(await port.enqueue(job)), queue, name }
      }
    }

    /** Returns the id under which to store the next job of a key: that of the newest job, unless that job has ended. */
    async function candidate({ job }: EnqueuePayload, stream: string): Promise<string> {
      const newest = await windows.newest(stream)
      if (!newest) return windows.current(stream)
      const { id, open } = newest
      const port = kernel.port('queue')
      let stored = await port.getJob(job.queue, id)
      if (!stored && open) {
        // Without a history, another call is about to store the job. With one, the job was removed, and the next job must not continue it.
        if ((await kernel.port('events').head(id)) === 0) return id
        stored = await port.getJob(job.queue, id)
      }
      const isOver = !stored || !counts(job, stored)
      return isOver ? windows.current(stream, id) : id
    }

    /** Whether the stored job counts as the job of this call. Replaces what the call replaces. */
    async function isSame({ job }: EnqueuePayload): Promise<boolean> {
      const port = kernel.port('queue')
      for (;;) {
        const stored = await port.getJob(job.queue, job.id)
        if (!stored || !counts(job, stored)) return false
        if (isOfCall(job, stored) || (stored.state !== 'waiting' && stored.state !== 'delayed')) return true
        // The data first, because the job may begin as soon as it is due.
        const replaced = !replaces(job, 'data') || (await replaceData(job, stored))
        if (replaced && (!replaces(job, 'delay') || (await port.reschedule(job.queue, job.id, job.runAt)))) return true
        // It has begun in the meantime. It counts as before, or no longer.
        const now = await port.getJob(job.queue, job.id)
        if (now?.state === stored.state && now.claims === stored.claims) return true
      }
    }

    /** Returns false if the job has begun. */
    async function replaceData({ data, name }: EnqueuePayload['job'], { runId }: JobRecord): Promise<boolean> {
      const copy = copyValue(data, kernel.config.payloadLimit, `data of job "${name}"`)
      const { ok } = await kernel
        .port('events')
        .append(runId, [{ type: REPLACED, data: { data: copy } }], { unless: BEGUN })
      return ok
    }

    async function begin({ job, ctx }: DispatchPayload, next: Next): Promise<void> {
      const begun = await kernel.append(ctx, [{ type: BEGUN, key: BEGUN, stepId: job.id }])
      // The log refuses all events of this claim, so its failure is not stored either.
      if (!begun.ok) throw new QueueError('LEASE_LOST', `Job "${job.id}" has ended or now belongs to another worker.`)
      const [newest] = await kernel.port('events').read(job.runId, { types: [REPLACED], reverse: true, limit: 1 })
      if (newest) Object.assign(job, { data: (newest.data as { data: unknown }).data })
      await next()
    }

    async function closeAtEnd(payload: EmitPayload, next: Next): Promise<void> {
      await next()
      const { id } = payload.ctx!.job
      if (await storedEnd(kernel, payload)) await windows.close(streamOf(id), id)
    }

    async function closeCancelled({ events }: EmitPayload, next: Next): Promise<void> {
      await next()
      const id = events[0]!.stepId!
      await windows.close(streamOf(id), id)
    }
  },
})

/** Whether a stored job is the one of its key for a new call. */
function counts(job: JobDraft, stored: JobRecord): boolean {
  const { states = STATES, for: window = Infinity } = job.options.unique!
  return isOfCall(job, stored) || (states.includes(stored.state) && stored.createdAt + window > job.createdAt)
}

/** Whether a stored job was created by the same call, which is repeated because its response was lost. */
function isOfCall({ options }: JobDraft, stored: JobRecord): boolean {
  const { call } = options.unique!
  return call !== undefined && stored.options.unique?.call === call
}

function replaces({ options }: Pick<JobRecord, 'options'>, what: 'data' | 'delay'): boolean {
  return options.unique?.replace?.includes(what) === true
}

/** Returns the stream of a key. The ids of its jobs begin with the name of the stream. */
function streamOf(id: string): string {
  return id.split('.', 2).join('.')
}
