import type { Queue } from 'bullmq'
import type { Diagnosis, Reporter } from '../../../../kernel/index.ts'
import { loadPackage } from '../../../lib/optional-package.ts'
import { checkLibrary, warnOf } from '../../lib/storage-library.ts'
import { hashTag, type RedisPort } from '../lib/redis.ts'
import { diagnoseClient } from './client-versions.ts'
import { encodeQueue } from './names.ts'

/** The names and keys of queues, and their BullMQ objects. */
export interface Queues {
  /** Returns the name of a queue in BullMQ. */
  nameOf(queue: string): string
  /** Returns the prefix of the keys of a queue. */
  baseOf(queue: string): string
  /** Adds a queue to the list of used queues. */
  record(queue: string): void
  /** Lists all queues that any process has used. */
  list(): Promise<string[]>
  bull(queue: string): Queue
  /** Finds queues that BullMQ clients of other versions have written. */
  diagnoseClients(): Promise<Diagnosis[]>
  close(): Promise<void>
}

export async function createQueues(redis: RedisPort, reporter: Reporter): Promise<Queues> {
  const { client, prefix, cluster } = redis
  const { Queue: BullQueue } = await loadPackage(() => import('bullmq'), 'The plugin "queue-redis"', 'bullmq ioredis')
  checkLibrary('bullmq', reporter)
  const bulls = new Map<string, Queue>()
  const bases = new Map<string, string>()
  const namesKey = `${prefix}:queues`
  const recorded = new Set<string>()
  const checked = new Set<string>()
  // The store may be empty after a reconnection, so queues are recorded again.
  const stopWatching = redis.onReconnect(() => recorded.clear())

  /** On a Cluster, all keys of a queue must share a slot. */
  function nameOf(queue: string): string {
    return cluster ? hashTag(encodeQueue(queue)) : encodeQueue(queue)
  }

  function baseOf(queue: string): string {
    let base = bases.get(queue)
    if (base === undefined) bases.set(queue, (base = `${prefix}:${nameOf(queue)}`))
    return base
  }

  async function diagnose(queue: string): Promise<Diagnosis[]> {
    const meta = `${baseOf(queue)}:meta`
    return diagnoseClient(queue, await client.hget(meta, 'version'), meta)
  }

  /** Warns when this process uses a queue for the first time. An outage is reported by the connection. */
  function check(queue: string): void {
    if (checked.has(queue)) return
    checked.add(queue)
    diagnose(queue).then(
      (found) => warnOf(found, reporter),
      () => checked.delete(queue),
    )
  }

  return {
    nameOf,
    baseOf,
    record(queue) {
      if (recorded.has(queue)) return
      recorded.add(queue)
      check(queue)
      client.sadd(namesKey, queue).catch(() => recorded.delete(queue))
    },
    list: () => client.smembers(namesKey),
    bull(queue) {
      let bull = bulls.get(queue)
      if (!bull) {
        // The user may lack the right to read the version. The meta of a queue must show whether BullMQ clients use it (see `sideSuffixes`).
        const options = { connection: client, prefix, skipMetasUpdate: true, skipVersionCheck: true }
        bulls.set(queue, (bull = new BullQueue(nameOf(queue), options)))
        // The connection reports its own errors.
        bull.on('error', () => {})
      }
      return bull
    },
    diagnoseClients: async () => (await Promise.all((await client.smembers(namesKey)).map(diagnose))).flat(),
    async close() {
      stopWatching()
      // BullMQ would wait for an unavailable server without a limit.
      if (client.status === 'ready') await Promise.all([...bulls.values()].map((bull) => bull.close()))
    },
  }
}
