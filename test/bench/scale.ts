import { createKernel, type EnqueueItem, type Kernel, type KernelConfig, type Preset } from 'nuxt-queue'
import { prodPostgres, prodRedis } from 'nuxt-queue/presets'
import { Redis } from 'ioredis'
import { Client } from 'pg'
import { startPostgres } from '../services/postgres.ts'
import { sharedRedis } from '../services/redis.ts'
import { countdown, median, perSecond, round, type Bench } from './harness.ts'
import { ORDER } from './payload.ts'

/** How many jobs wait, and how many runs have ended. `BENCH_SCALE=1000000` is the full measurement. */
const LARGE = Number(process.env.BENCH_SCALE ?? 100_000)
const SMALL = 1000
/** How many jobs are enqueued, drained or removed to measure a rate. */
const [ENQUEUED, DRAINED, REMOVED] = [5000, 5000, 500]
/** No run is removed unless this bench asks for it. */
const KEPT = { age: 30 * 86_400_000, count: 1e9 }

interface Store {
  name: string
  preset: Preset
  /** Returns the configuration of a separate store on the same server. */
  config(name: string): KernelConfig
  /** Returns the bytes of the server. */
  size(): Promise<number>
}

interface Rig {
  kernel: Kernel
  /** Waiting jobs, and ended runs. */
  total: number
  store: number
}

async function fill(kernel: Kernel, count: number, item: (index: number) => EnqueueItem): Promise<void> {
  for (let from = 0; from < count; from += 1000) {
    const length = Math.min(1000, count - from)
    await kernel.enqueueMany(Array.from({ length }, (_, index) => ({ data: ORDER, ...item(from + index) })))
  }
}

async function inFlight(count: number, call: (index: number) => Promise<unknown>): Promise<number> {
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < count) await call(next++)
  }
  const began = performance.now()
  await Promise.all(Array.from({ length: 100 }, lane))
  return perSecond(count, began)
}

const deep = { queue: 'deep', name: 'order' }

/** Runs jobs of a queue with 50 at a time. Returns jobs per second. */
async function drain(kernel: Kernel, worker: { queue: string; name: string }, count: number, more: object = {}) {
  const { done, hit } = countdown(count)
  const began = performance.now()
  const id = worker.queue
  await kernel.registerWorker({ id, config: { ...worker, concurrency: 50, ...more }, handler: () => hit() })
  await done
  const speed = perSecond(count, began)
  await kernel.unregisterWorker(id)
  return speed
}

async function open(store: Store, total: number): Promise<Rig> {
  const kernel = await createKernel({
    preset: store.preset,
    config: {
      ...{ registry: { dirs: [] }, setupTimeout: 60_000, ...store.config(`n${total}`) },
      retention: { completed: KEPT, sweepInterval: 0, sweepEvery: 1e9 },
    },
  })
  await kernel.start()
  const before = await store.size()
  await fill(kernel, total, () => ({ worker: { queue: 'past', name: 'order' } }))
  await drain(kernel, { queue: 'past', name: 'order' }, total)
  await fill(kernel, total, () => ({ worker: deep }))
  await fill(kernel, total / 10, () => ({ worker: { queue: 'late', name: 'order' }, options: { delay: 86_400_000 } }))
  await fill(kernel, total / 100, (index) => ({ worker: { queue: `one-${index}`, name: 'order' } }))
  return { kernel, total, store: (await store.size()) - before }
}

async function time(calls: number, call: () => unknown): Promise<number> {
  const times: number[] = []
  for (let index = 0; index < calls; index++) {
    const began = performance.now()
    await call()
    times.push(performance.now() - began)
  }
  return median(times)
}

/** Removes the oldest ended jobs and runs as retention does. Returns runs per second. */
async function removeOldest({ kernel }: Rig): Promise<number> {
  let completed = 0
  for (const queue of ['past', 'deep', 'keyed']) completed += (await kernel.port('queue').getJobCounts(queue)).completed
  const policy = { outcome: 'completed', endedBefore: 0, keep: completed - REMOVED } as const
  let spent = 0
  for (const port of [kernel.port('queue').clean, kernel.port('events').expire]) {
    for (let removed = 0; removed < REMOVED;) {
      const began = performance.now()
      removed = await port(policy)
      if (removed > 0) spent += performance.now() - began
      // After a long search, the adapter rests before the next one.
      else await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
  return (REMOVED / spent) * 1000
}

async function measure(bench: Bench, store: Store): Promise<void> {
  const [small, large] = [await open(store, SMALL), await open(store, bench.size(LARGE))]
  const against = `the same with ${SMALL}`
  const compare = async (name: string, unit: string, larger: boolean, run: (rig: Rig) => Promise<number>) =>
    bench.compare({
      ...{ case: `${name}-${store.name}`, unit, larger, against, runs: 5 },
      ours: () => run(large),
      base: () => run(small),
    })
  await compare('enqueue', 'jobs/s', true, ({ kernel }) => inFlight(ENQUEUED, () => kernel.enqueue(deep, ORDER)))
  await compare('claim-settle', 'jobs/s', true, async ({ kernel }) => {
    await fill(kernel, DRAINED, () => ({ worker: deep }))
    return drain(kernel, deep, DRAINED)
  })
  await compare('counts', 'ms', false, ({ kernel }) => time(50, () => kernel.port('queue').getJobCounts('deep')))
  await compare('list-jobs', 'ms', false, ({ kernel }) => time(50, () => kernel.findJobs({ queue: 'deep', limit: 50 })))
  await compare('list-runs', 'ms', false, ({ kernel }) =>
    time(50, () => kernel.port('events').runs.list({ limit: 50 })),
  )
  await compare('retention', 'runs/s', true, async (rig) => {
    await fill(rig.kernel, REMOVED, () => ({ worker: { queue: 'past', name: 'order' } }))
    await drain(rig.kernel, { queue: 'past', name: 'order' }, REMOVED)
    return removeOldest(rig)
  })
  await compare('keys', 'jobs/s', true, async ({ kernel, total }) => {
    const [queue, count] = ['keyed', Math.max(1000, total / 100)]
    await fill(kernel, count, (index) => ({ worker: { queue, name: 'order' }, data: { key: `k${index}` } }))
    const limits = [{ concurrency: 1, key: ({ key }: { key: string }) => key }]
    return drain(kernel, { queue, name: 'order' }, count, { limits })
  })
  const [ours, base] = [round(large.store / large.total), round(small.store / small.total)]
  const facts = { unit: 'bytes a run', ours, base, against, ratio: round(base / ours), runs: 1 }
  bench.emit({ case: `store-${store.name}`, ...facts })
  for (const { kernel } of [small, large]) await kernel.close()
}

/** Measures what a store with many jobs and runs costs, compared with the same store with 1,000. */
export default async function bench(bench: Bench): Promise<void> {
  const redis = await sharedRedis()
  const redisClient = new Redis(redis.url)
  await measure(bench, {
    name: 'redis',
    preset: prodRedis,
    config: (name) => ({ redis: { url: redis.url, checkServer: false, prefix: name } }),
    size: async () => Number(/used_memory:(\d+)/.exec(await redisClient.info('memory'))![1]),
  })
  redisClient.disconnect()
  await redis.stop()
  const postgres = await startPostgres({ fsync: true })
  const client = new Client(postgres.url)
  await client.connect()
  await measure(bench, {
    name: 'postgres',
    preset: prodPostgres,
    config: (name) => ({ postgres: { url: postgres.url, schema: name } }),
    async size() {
      const { rows } = await client.query<{ size: string }>('SELECT pg_database_size(current_database()) AS size')
      return Number(rows[0]!.size)
    },
  })
  await client.end()
  await postgres.stop()
}
