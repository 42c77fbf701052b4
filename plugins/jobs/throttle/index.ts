import { definePlugin, type DispatchPayload, type EnqueuePayload, type Next } from '../../../kernel/index.ts'
import { keyedMutex } from '../../lib/keyed-mutex.ts'
import { jobKeyOf, jobKeyHash, refuseTogether } from '../lib/job-key.ts'
import { throttleRule } from './options.ts'

const PERIODS = '_throttle'
const PERIOD_ENDS = '_throttle/period'
/** The maximum number of remembered keys. */
const MAX_KEYS = 1000
/** The maximum number of positions of a period that are searched for a repeated call. */
const MAX_POSITIONS = 100

export type { Throttle } from './options.ts'

interface Taker {
  call: string | undefined
}

/**
 * Lets a limited number of jobs of a key through in each period. Their ids are the positions of the period, so the queue itself refuses
 * further jobs from all instances. A job that runs leaves a delayed job behind until its period has ended, because the queue may remove the
 * job earlier.
 */
export default definePlugin({
  name: 'throttle',
  requires: ['queue', 'job-options'],
  async setup(kernel) {
    kernel.declareJobOption('throttle', throttleRule)
    /** How many positions this process has tried, so that concurrent calls try different positions. */
    const tried = new Map<string, number>()

    await kernel.registerWorker({ id: PERIOD_ENDS, config: { queue: PERIODS, concurrency: 10 }, handler: () => {} })
    const runExclusive = keyedMutex()
    kernel.hook(
      'enqueue',
      (payload, next) => runExclusive(periodOf(payload), (...turn) => take(payload, next, ...turn)),
      {
        when: ({ job }) => job.options.throttle !== undefined,
      },
    )
    kernel.hook('dispatch', remember, { when: ({ job }) => job.options.throttle !== undefined })

    function tryNext(period: string): number {
      const place = tried.get(period) ?? 0
      if (tried.size >= MAX_KEYS) tried.clear()
      tried.set(period, place + 1)
      return place
    }

    /** Returns the job at a position of a period, or the delayed job that it left behind. */
    async function takerOf(queue: string, id: string): Promise<Taker | undefined> {
      const port = kernel.port('queue')
      const [job, gone] = await Promise.all([port.getJob(queue, id), port.getJob(PERIODS, id)])
      if (job) return { call: job.options.throttle?.call }
      return gone && { call: (gone.data as Taker | undefined)?.call }
    }

    async function isTaken(queue: string, id: string): Promise<boolean> {
      return (await takerOf(queue, id)) !== undefined
    }

    /** Returns the position that an earlier try of the call has taken. A call is repeated if its response was lost. */
    async function placeOf(call: string, queue: string, base: string, max: number): Promise<string | undefined> {
      for (let place = 0; place < Math.min(max, MAX_POSITIONS); place++) {
        const id = `${base}.${place}`
        const taker = await takerOf(queue, id)
        if (!taker) return undefined
        if (taker.call === call) return id
      }
      return undefined
    }

    /** Returns the name of a period of a key. */
    function periodOf(payload: EnqueuePayload): string {
      const { job } = payload
      const { debounce, throttle } = job.options
      refuseTogether('throttle', payload, { debounce })
      const key = jobKeyOf('throttle', throttle!.key, job)
      const { once: call } = payload.options
      job.options = { ...job.options, throttle: { ...throttle!, key, ...(call !== undefined && { call }) } }
      return `throttle.${jobKeyHash(job, key)}.${Math.floor(job.createdAt / throttle!.period)}`
    }

    async function take(payload: EnqueuePayload, next: Next, base: string, release: () => void): Promise<void> {
      const { job } = payload
      const { queue, name } = job
      const { limit, max: old = 1, call } = job.options.throttle!
      const max = limit ?? old
      const idOfCall = call === undefined ? undefined : await placeOf(call, queue, base, max)
      if (idOfCall !== undefined) {
        payload.result = { id: idOfCall, runId: idOfCall, deduplicated: true, queue, name }
        return
      }
      let store = next
      const storeAs = async (id: string): Promise<void> => {
        job.id = job.runId = id
        const storing = store()
        if (payload.batch) release()
        await storing
        // The job has already passed through the other hooks. Only its id differs.
        store = async () => {
          payload.result = { ...(await kernel.port('queue').enqueue(job)), queue, name }
        }
      }
      for (let place = tryNext(base); place < max; place = tryNext(base)) {
        const id = `${base}.${place}`
        if (await isTaken(queue, id)) continue
        await storeAs(id)
        if (!payload.result?.deduplicated) return
      }
      // All positions were tried, but the call that tried the last one may have failed.
      const id = `${base}.${max - 1}`
      if (await isTaken(queue, id)) payload.result = { id, runId: id, deduplicated: true, queue, name }
      else await storeAs(id)
    }

    async function remember({ job }: DispatchPayload, next: Next): Promise<void> {
      const { period, call } = job.options.throttle!
      const ends = (Math.floor(job.createdAt / period) + 1) * period
      const data: Taker | undefined = call === undefined ? undefined : { call }
      if (ends > kernel.clock.now()) await kernel.enqueue(PERIOD_ENDS, data, { id: job.id, delay: new Date(ends) })
      await next()
    }
  },
})
