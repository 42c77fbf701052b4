import { resolve } from 'pathe'
import { z } from 'zod'
import { definePlugin, isQueueError, type JobRecord, type Settlement } from '../../../kernel/index.ts'
import type { EventStore, QueueProvider } from '../../../kernel/index.ts'
import { encodeEvents } from '../../lib/payloads/events.ts'
import { encodeJobs, encodeWorkers } from '../../lib/payloads/jobs.ts'
import { createOffload } from './codec.ts'
import { createFolder, type OffloadStorage } from './storage.ts'
import { sweep } from './sweep.ts'

export type { OffloadStorage } from './storage.ts'

/** Milliseconds before a job runs again that this process could not load. */
const RETRY_DELAY = 10_000

const METHODS = ['setItemRaw', 'getItemRaw', 'removeItem', 'getKeys'] as const

/** Keeps large values in a folder or an object storage, and references to them in the store. */
export default definePlugin({
  name: 'offload',
  enforce: 'pre',
  options: z.strictObject({
    /**
     * Where large values are stored: a folder that all processes see, or a storage of `unstorage`, such as `useStorage('payloads')` in
     * Nitro. Default: large values stay in the store.
     */
    storage: z
      .union([
        z.string().min(1),
        z.custom<OffloadStorage>(
          (value) => METHODS.every((name) => typeof (value as Partial<OffloadStorage> | null)?.[name] === 'function'),
          `is a folder, or a storage with the methods ${METHODS.join(', ')}`,
        ),
      ])
      .optional(),
    /** Values with more bytes of JSON than this are moved. Default 64,000. */
    threshold: z.number().int().min(1000).default(64_000),
    /** Milliseconds between two sweeps, which remove the values of runs that retention has removed; 0 disables them. Default 600,000. */
    sweepInterval: z.number().min(0).default(600_000),
    /**
     * Values that are younger than this are never removed, in milliseconds. It must be longer than the time from the start of a write to
     * its commit, also in your own transactions. Default 3,600,000 (one hour).
     */
    minAge: z.number().min(0).default(3_600_000),
  }),
  setup(kernel, { storage: given, threshold, sweepInterval, minAge }) {
    const storage = typeof given === 'string' ? createFolder(resolve(given)) : given
    const codec = createOffload(kernel, storage, threshold)
    const inner: { queue?: QueueProvider; events?: EventStore } = {}
    /** Stands for the data of a job whose value is missing, and the reason. */
    const lost = new WeakMap<object, Error>()

    /** A missing value never comes back, so its job fails. A storage that is away comes back, so its job waits. */
    function refuse(
      job: Readonly<JobRecord>,
      error: Error,
      run: (job: JobRecord) => Promise<Settlement>,
    ): Settlement | Promise<Settlement> {
      if (storage && isQueueError(error, 'OFFLOAD_MISSING')) {
        const data = {}
        lost.set(data, error)
        return run({ ...job, data })
      }
      kernel.reporter.error(`Job "${job.id}" returns to queue "${job.queue}" for ${RETRY_DELAY} ms.`, error)
      return { type: 'defer', runAt: kernel.clock.now() + RETRY_DELAY }
    }

    let stop: (() => void) | undefined
    let sweeping: Promise<unknown> = Promise.resolve()
    let closed = false
    function arm(): void {
      // Instances that start together do not sweep together.
      stop = kernel.clock.setTimeout(
        () => {
          const ports = { queue: () => inner.queue!, events: () => inner.events!, isClosed: () => closed }
          sweeping = sweep(kernel, { storage: storage!, minAge, ...ports }).catch((error: unknown) => {
            if (!closed) kernel.reporter.warn('A sweep of "offload" failed. The next sweep tries again.', error)
          })
          void sweeping.then(() => closed || arm())
        },
        sweepInterval * (0.75 + Math.random() / 2),
      )
    }

    // Without a storage, only a store that outlives this process can hold references.
    kernel.wrapPort('queue', (queue) => {
      inner.queue = queue
      return storage || queue.capabilities.durable ? encodeJobs(queue, codec, kernel.reporter) : queue
    })
    kernel.wrapPort('events', (events) => {
      inner.events = events
      return storage || events.capabilities.durable ? encodeEvents(events, codec, kernel.reporter) : events
    })
    kernel.wrapPort('workers', (workers) => {
      if (!storage && !kernel.port('queue').capabilities.durable) return workers
      kernel.hook(
        'dispatch',
        ({ job }) => {
          throw lost.get(job.data as object)!
        },
        { when: ({ job: { data } }) => typeof data === 'object' && data !== null && lost.has(data) },
      )
      // The clock of the kernel may come from a plugin after this one.
      if (storage && sweepInterval > 0) arm()
      return encodeWorkers(workers, codec, kernel, refuse)
    })
    return async () => {
      closed = true
      stop?.()
      await sweeping
    }
  },
})
