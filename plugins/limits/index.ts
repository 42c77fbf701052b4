import { z } from 'zod'
import {
  MAX_COUNT,
  MAX_DURATION,
  definePlugin,
  type DispatchPayload,
  type Next,
  type RunContext,
} from '../../kernel/index.ts'
import { workerOption } from '../_shared/worker-option.ts'

const rateLimit = z.strictObject({
  max: z.number().int().min(1).max(MAX_COUNT),
  duration: z.number().min(1).max(MAX_DURATION),
})

/** Keeps `concurrencyKey` and `rateLimit` over all instances, through the `limits` port. */
export default definePlugin({
  name: 'limits',
  requires: ['limits', 'queue'],
  options: z.strictObject({
    /**
     * Milliseconds after which the place of a holder that has died lapses, and a waiting job asks
     * again by itself. Keep it above your longest job. Default 15 minutes.
     */
    placeTtl: z
      .number()
      .min(1)
      .default(15 * 60_000),
  }),
  workerOptions: {
    concurrencyPerKey: workerOption('concurrencyPerKey', z.number().int().min(1).max(MAX_COUNT)),
    rateLimit: workerOption('rateLimit', rateLimit),
  },
  setup(kernel, { placeTtl }) {
    /** Which limit an attempt met, for whoever asks why its job does not run. */
    const met = new WeakMap<RunContext, 'concurrencyKey' | 'rateLimit'>()
    kernel.hook(
      'emit',
      ({ ctx, events: [deferred] }, next) => {
        deferred!.data = { ...(deferred!.data as object), limit: met.get(ctx!) }
        return next()
      },
      { when: ({ ctx, events }) => events[0]?.type === 'step.deferred' && ctx !== undefined && met.has(ctx) },
    )
    kernel.hook(
      'dispatch',
      (dispatch, next) => {
        const { queue, name, options } = dispatch.job
        if (options.concurrencyKey === undefined) return withinRate(dispatch, next)
        return withPlace(dispatch, next, `${queue}/${name}/${options.concurrencyKey}`)
      },
      { when: ({ job, worker }) => job.options.concurrencyKey !== undefined || worker.worker.rateLimit !== undefined },
    )

    /** A refused job waits in line, delayed, and is promoted when it is handed a place. */
    async function withPlace(dispatch: DispatchPayload, next: Next, key: string): Promise<void> {
      const { job, worker, ctx } = dispatch
      const max = worker.worker.concurrencyPerKey ?? 1
      if (!(await kernel.port('limits').acquire(key, max, placeTtl, job.id))) {
        met.set(ctx, 'concurrencyKey')
        dispatch.result = ctx.defer({ delay: placeTtl })
        return
      }
      try {
        await withinRate(dispatch, next)
      } finally {
        await release(key, job.queue, job.id)
      }
    }

    async function release(key: string, queue: string, holder: string): Promise<void> {
      for (const next of await kernel.port('limits').release(key, holder)) {
        if (await kernel.port('queue').promote(queue, next)) continue
        const job = await kernel.port('queue').getJob(queue, next)
        // Cancelled or removed while it waited: its place goes to the next in line.
        if (job?.state !== 'waiting') await release(key, queue, next)
      }
    }

    /** A limit on all jobs holds the queue, which keeps their order; one by key lets other keys pass. */
    async function withinRate(dispatch: DispatchPayload, next: Next): Promise<void> {
      const { job, worker, ctx } = dispatch
      const { rateLimit } = worker.worker
      if (!rateLimit) return next()
      const key = job.options.rateLimitKey
      const bucket = `${job.queue}/${job.name}${key === undefined ? '' : `/${key}`}`
      const wait = await kernel.port('limits').take(bucket, rateLimit, key === undefined ? undefined : job.id)
      if (wait === 0) return next()
      met.set(ctx, 'rateLimit')
      dispatch.result = ctx.defer({ delay: wait, holdQueue: key === undefined })
    }
  },
})
