import { AsyncLocalStorage } from 'node:async_hooks'
import { z } from 'zod'
import {
  definePlugin,
  isText,
  MAX_COUNT,
  MAX_DURATION,
  QueueError,
  type DataOf,
  type DispatchPayload,
  type Job,
  type Next,
  type WorkerDefinition,
} from '../../../kernel/index.ts'
import { workerOption } from '../../lib/worker-option.ts'
import { createGather, type Gather } from './gather.ts'
import type { Batch } from './options.ts'
import { share, type BatchMember } from './share.ts'

export type { Batch } from './options.ts'

declare module 'nuxt-queue/kernel' {
  interface RunContext {
    /** The jobs of a batch, in the order of the data and of the results. */
    readonly batch?: readonly Job[]
  }
  interface ConfiguredContext<C> {
    readonly batch: C extends { batch: Batch } ? readonly Job<DataOf<C>>[] : readonly Job[] | undefined
  }
}

const shape = z.strictObject({
  size: z.number().int().min(1).max(MAX_COUNT),
  wait: z.number().min(0).max(MAX_DURATION),
  key: z
    .custom(
      (value) => value === '' || isText(value) || typeof value === 'function',
      'is text, or a function that returns text',
    )
    .optional(),
})
const checkBatch = workerOption('batch', shape)

/** The maximum number of keys whose batches are collected at the same time, and the maximum number of jobs in these batches. */
const GATHERING = 32
const MAX_GATHERED = 1000

/** Returns how many jobs a process claims at once. A batch waits for jobs of its key, so it needs more. */
function claimsOf(concurrency: number, { size, key }: Batch): number {
  const full = concurrency * size
  return typeof key === 'function' ? Math.max(full, Math.min(MAX_GATHERED, full * GATHERING)) : full
}

/**
 * Passes several jobs to a handler in one call. Each job is claimed separately and waits here for other jobs. Then one of them runs the
 * handler for all. Each job keeps its own attempts, end, result and cancellation.
 */
export default definePlugin({
  name: 'batch',
  // Innermost, so that other plugins check and count each job separately.
  enforce: 'post',
  requires: ['workers'],
  workerOptions: {
    async batch(value, definition) {
      const { id, worker } = definition
      if (worker.flow !== undefined) {
        const message = `Worker "${id}" has "batch" and "flow". A step of a flow runs one job at a time, so remove one of them.`
        throw new QueueError('OPTION_INVALID', message, { details: { option: 'batch' } })
      }
      await checkBatch(value, definition)
      definition.claims = claimsOf(worker.concurrency, worker.batch!)
    },
  },
  setup(kernel) {
    const gathers = new Map<string, { definition: WorkerDefinition; gather: Gather<BatchMember> }>()
    const workers = kernel.port('workers')
    const { closeAll } = workers
    // No hook reports that no more jobs will come.
    workers.closeAll = (options) => {
      for (const { gather } of gathers.values()) gather.flush()
      return closeAll.call(workers, options)
    }

    kernel.hook('dispatch', join, { when: ({ worker }) => worker.worker.batch !== undefined })

    function gatherOf(definition: WorkerDefinition): Gather<BatchMember> {
      const there = gathers.get(definition.id)
      if (there?.definition === definition) return there.gather
      // Another definition of the worker has replaced it.
      there?.gather.flush()
      const { batch, concurrency } = definition.worker
      const gather = createGather({ ...batch!, clock: kernel.clock, concurrency }, share)
      gathers.set(definition.id, { definition, gather })
      return gather
    }

    async function join(dispatch: DispatchPayload, next: Next): Promise<void> {
      const { job, worker, signal } = dispatch
      const { key = '' } = worker.worker.batch!
      const resume = AsyncLocalStorage.snapshot()
      const outcome = Promise.withResolvers<void>()
      const member: BatchMember = { dispatch, next: async () => resume(next), outcome }
      const leave = gatherOf(worker).add(typeof key === 'function' ? key(job.data as never) : key, member)
      const onAbort = (): void => {
        if (leave()) outcome.reject(signal.reason as Error)
      }
      signal.addEventListener('abort', onAbort, { once: true })
      try {
        await outcome.promise
      } finally {
        signal.removeEventListener('abort', onAbort)
      }
    }
  },
})
