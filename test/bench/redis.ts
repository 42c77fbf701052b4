import BeeQueue from 'bee-queue'
import { Queue, Worker, type JobsOptions } from 'bullmq'
import { Redis } from 'ioredis'
import { prodRedis } from 'nuxt-queue/presets'
import { sharedRedis } from '../services/redis.ts'
import { benchAdapter, type BareLibrary } from './adapters.ts'
import type { Bench } from './harness.ts'
import { ORDER, total } from './payload.ts'

/** BullMQ with its defaults, which keep all ended jobs, or with the bound of the retention of this package. */

function bareBullmq(url: string, name: string, opts: JobsOptions = {}): BareLibrary & { close(): Promise<void> } {
  const connection = new Redis(url, { maxRetriesPerRequest: null })
  const queues = new Map<string, Queue>()
  const queueOf = (name: string): Queue => {
    const queue = queues.get(name) ?? new Queue(name, { connection })
    queues.set(name, queue)
    return queue
  }
  return {
    name,
    async bulk(name, jobs) {
      for (let from = 0; from < jobs; from += 1000) {
        const length = Math.min(1000, jobs - from)
        await queueOf(name).addBulk(Array.from({ length }, () => ({ name: 'order', data: ORDER, opts })))
      }
    },
    add: (name) => queueOf(name).add('order', ORDER, opts),
    async work(name, concurrency, onJob) {
      const handler = async ({ data }: { data: typeof ORDER }): Promise<void> => {
        total(data)
        onJob()
      }
      const worker = new Worker(name, handler, { connection, concurrency })
      return () => worker.close()
    },
    async close() {
      await Promise.all([...queues.values()].map((queue) => queue.close()))
      connection.disconnect()
    },
  }
}

function beeQueue(url: string): BareLibrary {
  const queueOf = (name: string, isWorker: boolean): BeeQueue =>
    new BeeQueue(name, { redis: { url }, isWorker, getEvents: false, sendEvents: false })
  return {
    name: 'bee-queue',
    async bulk(name, jobs) {
      const queue = queueOf(name, false)
      for (let from = 0; from < jobs; from += 1000) {
        await queue.saveAll(Array.from({ length: Math.min(1000, jobs - from) }, () => queue.createJob(ORDER)))
      }
      await queue.close()
    },
    async add(name) {
      await queueOf(name, false).createJob(ORDER).save()
    },
    async work(name, concurrency, onJob) {
      const queue = queueOf(name, true)
      queue.process(concurrency, async ({ data }: { data: typeof ORDER }) => {
        total(data)
        onJob()
      })
      return () => queue.close()
    },
  }
}

/** XADD with the same number in flight, over one connection with automatic pipelining. */
function rawXadd(url: string) {
  const client = new Redis(url, { enableAutoPipelining: true })
  let streams = 0
  return {
    name: 'XADD',
    async run(events: number, inFlight: number): Promise<number> {
      const text = JSON.stringify({ type: 'measured', data: { step: 'order', attempt: 1, total: 42.5 } })
      const prefix = `raw-${++streams}-`
      let next = 0
      const began = performance.now()
      const lane = async (): Promise<void> => {
        while (next < events) await client.xadd(`${prefix}${next++ % 1000}`, '*', 'e', text)
      }
      await Promise.all(Array.from({ length: inFlight }, lane))
      return events / ((performance.now() - began) / 1000)
    },
    close: () => client.disconnect(),
  }
}

export default async function bench(bench: Bench): Promise<void> {
  const server = await sharedRedis()
  const bare = bareBullmq(server.url, 'BullMQ')
  const bounded = bareBullmq(server.url, 'BullMQ that keeps 10,000', { removeOnComplete: { count: 10_000 } })
  const rawAppend = rawXadd(server.url)
  try {
    await benchAdapter(bench, {
      preset: prodRedis,
      events: 'events-redis',
      config: () => ({ redis: { url: server.url, checkServer: false } }),
      bare,
      references: [bounded, beeQueue(server.url)],
      rawAppend,
    })
  } finally {
    await bare.close()
    await bounded.close()
    rawAppend.close()
    await server.stop()
  }
}
