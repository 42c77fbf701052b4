import { z } from 'zod'
import {
  definePlugin,
  isFinalRefusal,
  MAX_TEXT_BYTES,
  QueueError,
  type DispatchPayload,
  type EnqueuePayload,
  type Next,
  type RunContext,
  type WorkerDefinition,
} from '../../../kernel/index.ts'
import { watchOutage } from '../../lib/outage.ts'
import { keyedRateLimitShape, keyShape, limitShape, warnOfOldRateLimit } from '../../lib/rate-limit.ts'
import { workerOption } from '../../lib/worker-option.ts'
import { checkKeysOf, demandsOf, type MetLimit, type PermitDemand, type StartDemand } from './demands.ts'
import { limitsShape } from './limits-shape.ts'
import { hasKeys, limitKeysOf } from './keys.ts'
import { holdPausedKeys } from './paused-jobs.ts'
import { limitKeyRule } from './options.ts'
import { createPermits, RECHECK_DELAY } from './permits.ts'

export type { SharedConcurrency, WorkerLimit } from './options.ts'

/**
 * The delay of a job whose limits could not be checked for the first time, in milliseconds. It doubles each time, up to the longest delay.
 */
const FIRST_DELAY = 1000
const MAX_DELAY = 30_000

const perKey = z.union([limitShape, z.strictObject({ key: keyShape, limit: limitShape })])
const checkRateLimit = workerOption('rateLimit', keyedRateLimitShape)

/** Enforces `limits`, `concurrencyKey` and `rateLimit` across all instances, through the `limits` port. */
export default definePlugin({
  name: 'limits',
  requires: ['limits', 'queue', 'job-options'],
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
    limits: workerOption('limits', limitsShape),
    singleton: workerOption('singleton', z.boolean()),
  },
  setup(kernel, { placeTtl = kernel.port('queue').lease ?? RECHECK_DELAY }) {
    kernel.declareJobOption('concurrencyKey', limitKeyRule)
    kernel.declareJobOption('rateLimitKey', limitKeyRule)
    const permits = createPermits(kernel, placeTtl)
    /** The limit that an attempt has reached, or the paused key of its job. `explain` reports it. */
    const met = new WeakMap<RunContext, MetLimit | { pausedKey: string }>()
    let failures = 0
    const outage = watchOutage({
      away: (error) =>
        kernel.reporter.warn('Limits cannot be checked. Their jobs return to the queue and run again.', error),
      back: () => kernel.reporter.warn('Limits can be checked again.'),
    })

    kernel.onWorkerStart(() => permits.start())
    if (kernel.pausedKeys) holdPausedKeys(kernel, kernel.pausedKeys, (ctx, reason) => met.set(ctx, reason))
    kernel.defineWorkerOption('limits', (_value, worker) => assertSupported(worker))
    kernel.hook(
      'emit',
      ({ ctx, events: [deferred] }, next) => {
        deferred!.data = { ...(deferred!.data as object), ...met.get(ctx!) }
        return next()
      },
      { when: ({ ctx, events }) => events[0]?.type === 'step.deferred' && ctx !== undefined && met.has(ctx) },
    )
    kernel.hook(
      'enqueue',
      ({ job, worker }, next) => {
        job.options = { ...job.options, ...limitKeysOf(job, worker!) }
        checkKeysOf(worker!, job.data)
        return next()
      },
      {
        when: ({ worker }: EnqueuePayload) =>
          worker !== undefined && (hasKeys(worker) || worker.worker.limits !== undefined),
      },
    )
    kernel.hook(
      'dispatch',
      (dispatch, next) => {
        const { job, worker } = dispatch
        // A producer that does not know the worker stores no keys.
        if (hasKeys(worker)) Object.assign(job, { options: { ...job.options, ...limitKeysOf(job, worker) } })
        const { permits: wanted, starts } = demandsOf(dispatch)
        const start = (): Promise<void> => withinRates(dispatch, starts, next)
        return wanted.length === 0 ? start() : withPermits(dispatch, wanted, start)
      },
      {
        when: ({ job, worker }) =>
          job.options.concurrencyKey !== undefined ||
          worker.worker.rateLimit !== undefined ||
          worker.worker.limits !== undefined ||
          worker.worker.singleton === true ||
          hasKeys(worker),
      },
    )

    /** A refused job waits as a delayed job, and is promoted when it receives a permit. */
    async function withPermits(
      dispatch: DispatchPayload,
      wanted: readonly PermitDemand[],
      start: () => Promise<void>,
    ): Promise<void> {
      const { ctx } = dispatch
      let asked = false
      const run = (): Promise<void> => {
        asked = true
        worked()
        return start()
      }
      try {
        const refused = await permits.within(dispatch, wanted, run)
        if (!refused) return
        worked()
        met.set(ctx, refused.demand.met)
        dispatch.result = ctx.defer({ delay: refused.delay })
      } catch (error) {
        if (asked) throw error
        return postpone(dispatch, error)
      }
    }

    /**
     * A limit on all jobs of a worker holds the queue, which keeps the order of the jobs, unless the queue has other workers. In that case,
     * or with a key, a later start is reserved for the job, and other jobs may overtake it. The rates that allowed a start which another
     * rate refuses take it back.
     */
    async function withinRates(dispatch: DispatchPayload, starts: readonly StartDemand[], next: Next): Promise<void> {
      const { job, worker, ctx } = dispatch
      const limits = kernel.port('limits')
      const taken: StartDemand[] = []
      for (const start of starts) {
        const holdQueue = start.ofAll && isAlone(worker)
        let wait: number
        try {
          wait = await limits.take(start.bucket, start.rate, holdQueue ? undefined : job.id)
          worked()
        } catch (error) {
          await takeBack(taken)
          return postpone(dispatch, error)
        }
        if (wait > 0) {
          await takeBack(taken)
          met.set(ctx, start.met)
          dispatch.result = ctx.defer({ delay: wait, holdQueue })
          return
        }
        taken.push(start)
      }
      return next()
    }

    /** A start that cannot be taken back counts, although its job did not start. */
    async function takeBack(taken: readonly StartDemand[]): Promise<void> {
      try {
        for (const { bucket } of taken) await kernel.port('limits').takeBack?.(bucket)
      } catch (error) {
        outage.failed(error)
      }
    }

    /** @throws QueueError `OPTION_UNSUPPORTED` if the worker has several rates, and the adapter cannot take back starts */
    function assertSupported({ worker: { limits = [], rateLimit } }: WorkerDefinition): void {
      const rates = limits.filter(({ rate }) => rate !== undefined).length + (rateLimit ? 1 : 0)
      if (rates < 2 || kernel.port('limits').takeBack) return
      const message = 'This queue adapter supports one rate for each worker, and "limits" has several.'
      throw new QueueError('OPTION_UNSUPPORTED', `${message} Keep one of them, or use another adapter.`, {
        details: { option: 'limits' },
      })
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
