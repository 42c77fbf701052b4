import { z } from 'zod'
import {
  definePlugin,
  isFinalRefusal,
  MAX_TEXT_BYTES,
  type DispatchPayload,
  type EnqueuePayload,
  type Next,
  type RunContext,
  type WorkerDefinition,
} from '../../../kernel/index.ts'
import { watchOutage } from '../../lib/outage.ts'
import { keyedRateLimitShape, keyShape, limitShape, rateOf, warnOfOldRateLimit } from '../../lib/rate-limit.ts'
import { workerOption } from '../../lib/worker-option.ts'
import { hasKeys, keysOf } from './keys.ts'
import { createPermits } from './permits.ts'

export type { SharedConcurrency } from './options.ts'

/** The interval after which a waiting job asks again by itself, even if the list of waiters was lost. In milliseconds. */
const RECHECK_DELAY = 15 * 60_000
/**
 * The delay of a job whose limits could not be checked for the first time, in milliseconds. It doubles each time, up to the longest delay.
 */
const FIRST_DELAY = 1000
const MAX_DELAY = 30_000

const perKey = z.union([limitShape, z.strictObject({ key: keyShape, limit: limitShape })])
const checkRateLimit = workerOption('rateLimit', keyedRateLimitShape)

/** Enforces `concurrencyKey` and `rateLimit` across all instances, through the `limits` port. */
export default definePlugin({
  name: 'limits',
  requires: ['limits', 'queue'],
  options: z.strictObject({
    /**
     * Milliseconds after which the permit of a dead process lapses. It is renewed as long as its job runs.
     * Default: the lease of the queue, or 15 minutes for adapters of one process.
     */
    placeTtl: z.number().min(1).optional(),
  }),
  workerOptions: {
    concurrencyGroup: workerOption('concurrencyGroup', z.string().min(1).max(MAX_TEXT_BYTES)),
    concurrencyPerKey: workerOption('concurrencyPerKey', perKey),
    async rateLimit(value, worker) {
      await checkRateLimit(value, worker)
      warnOfOldRateLimit(worker.worker.rateLimit!)
    },
  },
  setup(kernel, { placeTtl = kernel.port('queue').lease ?? RECHECK_DELAY }) {
    const permits = createPermits(kernel, placeTtl)
    /** The limit that an attempt has reached. `explain` reports it. */
    const met = new WeakMap<RunContext, 'concurrencyKey' | 'rateLimit'>()
    let failures = 0
    const outage = watchOutage({
      away: (error) =>
        kernel.reporter.warn('Limits cannot be checked. Their jobs return to the queue and run again.', error),
      back: () => kernel.reporter.warn('Limits can be checked again.'),
    })

    kernel.onWorkerStart(() => permits.start())
    kernel.hook(
      'emit',
      ({ ctx, events: [deferred] }, next) => {
        deferred!.data = { ...(deferred!.data as object), limit: met.get(ctx!) }
        return next()
      },
      { when: ({ ctx, events }) => events[0]?.type === 'step.deferred' && ctx !== undefined && met.has(ctx) },
    )
    kernel.hook(
      'enqueue',
      ({ job, worker }, next) => {
        job.options = { ...job.options, ...keysOf(job, worker!) }
        return next()
      },
      { when: ({ worker }: EnqueuePayload) => worker !== undefined && hasKeys(worker) },
    )
    kernel.hook(
      'dispatch',
      (dispatch, next) => {
        const { job, worker } = dispatch
        // A producer that does not know the worker stores no keys.
        if (hasKeys(worker)) Object.assign(job, { options: { ...job.options, ...keysOf(job, worker) } })
        return job.options.concurrencyKey === undefined ? withinRate(dispatch, next) : withPermit(dispatch, next)
      },
      {
        when: ({ job, worker }) =>
          job.options.concurrencyKey !== undefined || worker.worker.rateLimit !== undefined || hasKeys(worker),
      },
    )

    /** A refused job waits as a delayed job, and is promoted when it receives a permit. */
    async function withPermit(dispatch: DispatchPayload, next: Next): Promise<void> {
      const { ctx, worker } = dispatch
      let asked = false
      const run = (): Promise<void> => {
        asked = true
        worked()
        return withinRate(dispatch, next)
      }
      try {
        if (await permits.within(dispatch, keyOf(dispatch), permitsOf(worker), run)) return
        worked()
      } catch (error) {
        if (asked) throw error
        return postpone(dispatch, error)
      }
      met.set(ctx, 'concurrencyKey')
      dispatch.result = ctx.defer({ delay: RECHECK_DELAY })
    }

    /**
     * A limit on all jobs of a worker holds the queue, which keeps the order of the jobs, unless the queue has other workers. In that case,
     * or with a key, a later start is reserved for the job, and other jobs may overtake it.
     */
    async function withinRate(dispatch: DispatchPayload, next: Next): Promise<void> {
      const { job, worker, ctx } = dispatch
      const { rateLimit } = worker.worker
      if (!rateLimit) return next()
      const key = job.options.rateLimitKey
      const bucket = `${job.queue}/${job.name}${key === undefined ? '' : `/${key}`}`
      const holdQueue = key === undefined && isAlone(worker)
      let wait: number
      try {
        wait = await kernel.port('limits').take(bucket, rateOf(rateLimit), holdQueue ? undefined : job.id)
        worked()
      } catch (error) {
        return postpone(dispatch, error)
      }
      if (wait === 0) return next()
      met.set(ctx, 'rateLimit')
      dispatch.result = ctx.defer({ delay: wait, holdQueue })
    }

    /** Whether the queue of a worker has no other worker. */
    function isAlone({ queue }: WorkerDefinition): boolean {
      return kernel.registry.workers.filter((other) => other.queue.name === queue.name).length <= 1
    }

    function worked(): void {
      failures = 0
      outage.worked()
    }

    /** Defers a job whose limits cannot be checked. This is a failure of the store and does not use up an attempt. */
    function postpone(dispatch: DispatchPayload, error: unknown): void {
      if (isFinalRefusal(error)) throw error
      outage.failed(error)
      dispatch.result = dispatch.ctx.defer({ delay: Math.min(MAX_DELAY, FIRST_DELAY * 2 ** failures++) })
    }

    return () => permits.close()
  },
})

function keyOf({ job: { queue, name, options }, worker: { worker } }: DispatchPayload): string {
  const { concurrencyGroup: group } = worker
  return group === undefined ? `${queue}/${name}/${options.concurrencyKey}` : `group ${group}/${options.concurrencyKey}`
}

/** How many jobs of one key run at once. */
function permitsOf({ worker: { concurrencyPerKey = 1 } }: WorkerDefinition): number {
  return typeof concurrencyPerKey === 'number' ? concurrencyPerKey : concurrencyPerKey.limit
}
