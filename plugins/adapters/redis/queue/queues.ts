import type * as bullmq from 'bullmq'
import type { Queue } from 'bullmq'
import { QueueError } from '../../../../kernel/index.ts'
import { hashTag, type RedisPort } from '../lib/redis.ts'
import { encodeQueue } from './names.ts'

/** Where queues are, and BullMQ's own object for what it does as well as we could. */
export interface Queues {
  /** What BullMQ calls the queue. */
  nameOf(queue: string): string
  /** What its keys start with. */
  baseOf(queue: string): string
  /** Adds a queue to those that `list` knows. */
  note(queue: string): void
  /** All queues that were ever used, by whatever process. */
  list(): Promise<string[]>
  bull(queue: string): Queue
  close(): Promise<void>
}

async function loadBullmq(): Promise<typeof bullmq> {
  try {
    return await import('bullmq')
  } catch (error) {
    const message = 'The plugin "queue-redis" needs the package "bullmq". Install it: npm install bullmq ioredis'
    throw new QueueError('PLUGIN_REQUIRES', message, { cause: error })
  }
}

export async function createQueues(redis: RedisPort): Promise<Queues> {
  const { client, prefix, cluster } = redis
  const { Queue: BullQueue } = await loadBullmq()
  const bulls = new Map<string, Queue>()
  const bases = new Map<string, string>()
  const namesKey = `${prefix}:queues`
  const noted = new Set<string>()
  // A store that comes back may be an empty one.
  const forgetNotes = redis.onReconnect(() => noted.clear())

  /** On a Cluster, the keys of a queue have to share a slot. */
  function nameOf(queue: string): string {
    return cluster ? hashTag(encodeQueue(queue)) : encodeQueue(queue)
  }

  return {
    nameOf,
    baseOf(queue) {
      let base = bases.get(queue)
      if (base === undefined) bases.set(queue, (base = `${prefix}:${nameOf(queue)}`))
      return base
    },
    note(queue) {
      if (noted.has(queue)) return
      noted.add(queue)
      client.sadd(namesKey, queue).catch(() => noted.delete(queue))
    },
    list: () => client.smembers(namesKey),
    bull(queue) {
      let bull = bulls.get(queue)
      if (!bull) {
        // A user need not have the right to ask for the version. The meta of a queue tells whether others use it, see `sidesOf`.
        const options = { connection: client, prefix, skipMetasUpdate: true, skipVersionCheck: true }
        bulls.set(queue, (bull = new BullQueue(nameOf(queue), options)))
        // The connection itself tells of its failures.
        bull.on('error', () => {})
      }
      return bull
    },
    async close() {
      forgetNotes()
      // A connection that is away is waited for without end.
      if (client.status === 'ready') await Promise.all([...bulls.values()].map((bull) => bull.close()))
    },
  }
}
