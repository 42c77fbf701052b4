import {
  definePlugin,
  QueueError,
  type DispatchPayload,
  type EmitPayload,
  type EnqueuePayload,
  type Job,
  type Next,
  type StoredEvent,
} from '../../../kernel/index.ts'
import { keyedMutex } from '../../lib/keyed-mutex.ts'
import { jobKeyOf, jobKeyHash, refuseTogether } from '../lib/job-key.ts'
import { createWindows } from '../lib/windows.ts'
import { copyValue } from '../../lib/value.ts'
import { debounceRule, type Debounce } from './options.ts'

/** Ends a window. Later calls are not part of it. */
const CLOSED = 'debounce.closed'
const CALL = 'debounce.call'
/** A call with headers. Its data is `{ data, headers }`. The data of `debounce.call` is the data of the job itself. */
const CALL_WITH_HEADERS = 'debounce.call.headers'

export type { Debounce } from './options.ts'

/**
 * Holds back the jobs of a key until no more calls arrive. A window is a delayed job. Later calls append their data to its run. When the
 * job is due, it reads from its run whether it has to wait longer and which data is newest.
 */
export default definePlugin({
  name: 'debounce',
  requires: ['queue', 'events', 'job-options'],
  setup(kernel) {
    kernel.declareJobOption('debounce', debounceRule)
    const windows = createWindows(kernel, {
      name: 'debounce',
      opened: 'debounce.opened',
      closed: 'debounce.closed',
    })
    const runExclusive = keyedMutex()

    kernel.hook(
      'enqueue',
      (payload, next) => runExclusive(streamFor(payload), (...turn) => hold(payload, next, ...turn)),
      {
        when: ({ job }) => job.options.debounce !== undefined,
      },
    )
    kernel.hook('dispatch', release, { when: ({ job }) => job.options.debounce !== undefined })
    kernel.hook('emit', forgetCancelled, {
      when: ({ events }) => events[0]?.type === 'step.cancelled' && events[0].stepId?.startsWith('debounce.') === true,
    })

    function streamFor(payload: EnqueuePayload): string {
      const { job } = payload
      const { debounce, throttle } = job.options
      const delay = payload.options.delay
      refuseTogether('debounce', payload, { delay, throttle })
      const key = jobKeyOf('debounce', debounce!.key, job)
      job.options = { ...job.options, debounce: { ...debounce!, key, call: payload.options.once ?? kernel.newId() } }
      return `debounce.${jobKeyHash(job, key)}`
    }

    /** Stores the job before the data, because later calls rely on the job. */
    async function hold(payload: EnqueuePayload, next: Next, stream: string, release: () => void): Promise<void> {
      const { job } = payload
      const { maxWait = Infinity } = job.options.debounce!
      job.runAt = job.createdAt + Math.min(silenceOf(job.options.debounce!), maxWait)
      job.id = job.runId = await windows.current(stream)
      try {
        const storing = next()
        if (payload.batch) release()
        await storing
      } finally {
        if (!payload.result) await abandon(payload, stream)
      }
      while (payload.result && !(await addCall(payload)) && !(await isOfCall(payload))) {
        job.id = job.runId = await windows.current(stream, job.id)
        const receipt = await kernel.port('queue').enqueue(job)
        payload.result = { ...receipt, queue: job.queue, name: job.name }
      }
    }

    /** Closes the window of a refused call, so that no window without a job stays open. */
    async function abandon({ job }: EnqueuePayload, stream: string): Promise<void> {
      const stored = await kernel.port('queue').getJob(job.queue, job.id)
      if (!stored) await windows.close(stream, job.id)
    }

    /** Returns false when the window has ended. */
    async function addCall({ job, options: { once } }: EnqueuePayload): Promise<boolean> {
      const data = copyValue(job.data, kernel.config.payloadLimit, `data of job "${job.name}"`)
      const key = once === undefined ? undefined : `${CALL}:${once}`
      const { headers } = job
      const call = headers ? { type: CALL_WITH_HEADERS, data: { data, headers } } : { type: CALL, data }
      const { ok } = await kernel.port('events').append(job.runId, [{ ...call, key }], { unless: CLOSED })
      return ok
    }

    /** Whether the stored job was created by this call. */
    async function isOfCall({ job }: EnqueuePayload): Promise<boolean> {
      const stored = await kernel.port('queue').getJob(job.queue, job.id)
      return stored?.options.debounce?.call === job.options.debounce!.call
    }

    /** Returns the calls of a window, newest first, including its end. */
    async function lastOf(runId: string): Promise<StoredEvent[]> {
      return kernel.port('events').read(runId, { types: [CALL, CALL_WITH_HEADERS, CLOSED], reverse: true, limit: 2 })
    }

    /** Whether a later window of the key has ended too. Its last call is newer. */
    async function isOutdated(id: string): Promise<boolean> {
      const newest = await windows.newest(streamOf(id))
      if (newest === undefined || newest.id === id) return false
      return (await kernel.port('events').byKey(newest.id, CLOSED)) !== undefined
    }

    async function release(dispatch: DispatchPayload, next: Next): Promise<void> {
      const { job, ctx } = dispatch
      const { maxWait = Infinity } = job.options.debounce!
      let [last, before] = await lastOf(job.runId)
      // An attempt that failed or died has closed the window. A newer window may have run since.
      if (last?.type === CLOSED && (await isOutdated(job.id))) return
      if (last?.type !== CLOSED) {
        const due = Math.min((last?.ts ?? job.createdAt) + silenceOf(job.options.debounce!), job.createdAt + maxWait)
        if (due > kernel.clock.now()) {
          dispatch.result = ctx.defer({ until: due })
          return
        }
        const closed = await kernel.append(ctx, [{ type: CLOSED, key: CLOSED, stepId: job.id }])
        // The log refuses all events of this claim, so its failure is not stored either.
        if (!closed.ok)
          throw new QueueError('LEASE_LOST', `Job "${job.id}" has ended or now belongs to another worker.`)
        ;[last, before] = await lastOf(job.runId)
      }
      await windows.close(streamOf(job.id), job.id)
      if (before) Object.assign(job, callOf(before))
      await next()
    }

    async function forgetCancelled({ events }: EmitPayload, next: Next): Promise<void> {
      await next()
      const id = events[0]!.stepId!
      await windows.close(streamOf(id), id)
    }
  },
})

/** Returns the stream of a key. The ids of its windows begin with the name of the stream. */
function streamOf(id: string): string {
  return id.split('.', 2).join('.')
}

/** Returns the data and the headers of a call. */
function callOf({ type, data }: StoredEvent): Pick<Job, 'data' | 'headers'> {
  return type === CALL_WITH_HEADERS ? (data as Pick<Job, 'data' | 'headers'>) : { data, headers: {} }
}

/** Returns the milliseconds without a call after which the job runs. In jobs of earlier versions, the option is `delay`. */
function silenceOf({ period, delay }: Debounce): number {
  return (period ?? delay)!
}
