import { KeyObject } from 'node:crypto'
import { z } from 'zod'
import {
  definePlugin,
  isPromise,
  isQueueError,
  type Diagnosis,
  type DispatchPayload,
  type Job,
  type MaybePromise,
  type Next,
  type Settlement,
} from '../../../kernel/index.ts'
import { encodeEvents } from '../../lib/payloads/events.ts'
import { encodeJobs, encodeWorkers } from '../../lib/payloads/jobs.ts'
import { createEncryption, type KeyFor } from './codec.ts'
import { createKeyRing, type EncryptionKey, type FindKey } from './keys.ts'

export type { KeyedJob, KeyFor } from './codec.ts'
export type { EncryptionKey, FindKey } from './keys.ts'

type Deferred = Extract<Settlement, { type: 'defer' }>

/** The delays of a job that this process cannot decrypt, in milliseconds. Each is a share of the time that the job has waited. */
const [MIN_DELAY, MAX_DELAY, SHARE] = [1000, 60_000, 0.25]

const anyKey = z.custom<EncryptionKey>(
  (value) => typeof value === 'string' || value instanceof Uint8Array || value instanceof KeyObject,
  'is a key of 32 bytes: base64, hexadecimal digits, bytes or a KeyObject',
)
const anyFunction = <T>(expected: string) => z.custom<T>((value) => typeof value === 'function', expected)

/** Encrypts what the store keeps of jobs and runs: data, results, state, log entries, sub-steps and messages of errors. */
export default definePlugin({
  name: 'encryption',
  enforce: 'pre',
  options: z.strictObject({
    /**
     * The keys by id, each of 32 bytes in base64 or hexadecimal digits; or a function that returns the key with an id. Keep old keys for
     * as long as the store has values that they have encrypted. Default: no encryption.
     */
    keys: z
      .union([
        z.record(z.string(), anyKey),
        anyFunction<FindKey>('is an object of keys, or a function that returns one'),
      ])
      .optional(),
    /** The id of the key that encrypts new values. Default: the only key. */
    current: z.string().optional(),
    /**
     * Returns the id of the key for the payloads of a job, for example for one key a tenant: `({ headers }) => headers?.tenant`. It is called
     * often and must return at once. Default: the current key for all jobs.
     */
    keyFor: anyFunction<KeyFor>('is a function that returns the id of a key').optional(),
  }),
  setup(kernel, { keys, current, keyFor }) {
    const hasKeys = keys !== undefined && (typeof keys === 'function' || Object.keys(keys).length > 0)
    const { codec, missing } = createEncryption(kernel, hasKeys ? createKeyRing(keys, current) : undefined, keyFor)

    /** Returns the job to its queue, without using up an attempt, for a process that has the key. */
    function giveBack({ queue, id, createdAt }: Pick<Job, 'queue' | 'id' | 'createdAt'>, error: Error): Deferred {
      const now = kernel.clock.now()
      const delay = Math.min(MAX_DELAY, Math.max(MIN_DELAY, (now - createdAt) * SHARE))
      kernel.reporter.error(`Job "${id}" returns to queue "${queue}" for ${Math.ceil(delay)} ms.`, error)
      return { type: 'defer', runAt: now + Math.ceil(delay) }
    }

    /** A handler that reads a value of another job or run cannot go on without its key. This does not use up an attempt either. */
    function defer(payload: DispatchPayload, error: unknown): void {
      if (!isQueueError(error, 'ENCRYPTION_KEY_MISSING')) throw error
      const { job, ctx } = payload
      payload.result = ctx.defer({ until: giveBack(job, error).runAt })
    }

    function dispatch(payload: DispatchPayload, next: Next): MaybePromise<void> {
      try {
        const running = next()
        return isPromise(running) ? running.catch((error: unknown) => defer(payload, error)) : running
      } catch (error) {
        return defer(payload, error)
      }
    }

    function diagnose(): Diagnosis[] {
      const ids = missing()
      if (ids.length === 0) return []
      const message = `Values are encrypted with keys that this process does not have, or were changed: ${ids.join(', ')}.`
      const hint = 'Add the keys to "encryption.keys" or NUXT_QUEUE_ENCRYPTION_KEYS. Until then, their jobs wait.'
      return [{ check: 'encryption.keys', level: 'problem', message, hint }]
    }

    // Without keys, only a store that outlives this process can hold encrypted values.
    kernel.wrapPort('queue', (queue) => {
      if (!hasKeys && !queue.capabilities.durable) return queue
      const checked = async (): Promise<Diagnosis[]> => [...((await queue.diagnose?.()) ?? []), ...diagnose()]
      return Object.assign(encodeJobs(queue, codec, kernel.reporter), { diagnose: checked })
    })
    kernel.wrapPort('events', (events) =>
      hasKeys || events.capabilities.durable ? encodeEvents(events, codec, kernel.reporter) : events,
    )
    kernel.wrapPort('workers', (workers) => {
      if (!hasKeys && !kernel.port('queue').capabilities.durable) return workers
      kernel.hook('dispatch', dispatch)
      return encodeWorkers(workers, codec, kernel, giveBack)
    })
  },
})
