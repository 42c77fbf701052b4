import { createKernel, definePreset, type Kernel, type Preset } from 'nuxt-queue'
import { prodPostgres } from 'nuxt-queue/presets'
import { Pool } from 'pg'
import { PgBoss } from 'pg-boss'
import { startPostgres } from '../services/postgres.ts'
import { runOneByOne } from './boss-one-by-one.ts'
import { eventsOff } from './events-off.ts'
import { graphileCases } from './graphile.ts'
import { countdown, perSecond, quantile, type Bench } from './harness.ts'
import { ORDER, total, type Order } from './payload.ts'

const CHUNK = 1000

const plainPreset = definePreset({ name: 'plain', extends: prodPostgres, plugins: [eventsOff('events-postgres')] })

interface Setup {
  url: string
  pool: Pool
}

let schemas = 0

/** Creates the `prod-postgres` preset as in an application, in a separate schema. */
async function openKernel(
  { url }: Setup,
  preset: Preset = prodPostgres,
  schema = `ours_${++schemas}`,
): Promise<Kernel> {
  return createKernel({
    preset,
    config: { postgres: { url, schema }, registry: { dirs: [] } },
  })
}

async function openBoss({ url }: Setup): Promise<PgBoss> {
  const boss = new PgBoss({
    connectionString: url,
    schema: `boss_${++schemas}`,
    supervise: false,
    schedule: false,
    useListenNotify: true,
  })
  await boss.start()
  await boss.createQueue('order', { notify: true })
  return boss
}

/** Completed jobs may already be removed, so the queue is done when it is empty. */
async function allEnded(pool: Pool, schema: string): Promise<void> {
  for (;;) {
    const text = `SELECT EXISTS (SELECT FROM ${schema}.job WHERE state < 'completed') AS open`
    const { rows } = await pool.query<{ open: boolean }>(text)
    if (!rows[0]!.open) return
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

const target = { queue: 'order', name: 'order' }

async function fill(kernel: Kernel, count: number): Promise<void> {
  for (let sent = 0; sent < count; sent += CHUNK) {
    await kernel.enqueueMany(Array.from({ length: CHUNK }, () => ({ worker: target, data: ORDER })))
  }
}

async function fillBoss(boss: PgBoss, count: number): Promise<void> {
  for (let sent = 0; sent < count; sent += CHUNK) {
    await boss.insert(
      'order',
      Array.from({ length: CHUNK }, () => ({ data: ORDER as object })),
    )
  }
}

export async function settleDown(pool: Pool): Promise<void> {
  await pool.query('VACUUM ANALYZE')
  await pool.query('CHECKPOINT')
}

async function drain(setup: Setup, count: number, concurrency: number, preset = prodPostgres): Promise<number> {
  const schema = `ours_${++schemas}`
  const kernel = await openKernel(setup, preset, schema)
  await fill(kernel, count)
  await settleDown(setup.pool)
  const { done, hit } = countdown(count)
  await kernel.registerWorker({
    id: 'order',
    config: { queue: 'order', concurrency },
    handler: async (job) => {
      total(job.data as Order)
      hit()
    },
  })
  const began = performance.now()
  await kernel.start()
  await done
  await allEnded(setup.pool, schema)
  const rate = perSecond(count, began)
  await kernel.close()
  await setup.pool.query(`DROP SCHEMA ${schema} CASCADE`)
  return rate
}

async function drainBoss(setup: Setup, count: number, batchSize: number): Promise<number> {
  const boss = await openBoss(setup)
  const schema = `boss_${schemas}`
  await fillBoss(boss, count)
  await settleDown(setup.pool)
  const { done, hit } = countdown(count)
  let largest = 0
  const handler = async (jobs: readonly { data: Order }[]): Promise<void> => {
    for (const { data } of jobs) total(data)
    largest = Math.max(largest, jobs.length)
    hit(jobs.length)
  }
  const began = performance.now()
  const stop = batchSize === 1 ? runOneByOne(boss, 'order', handler) : undefined
  if (!stop) await boss.work('order', { batchSize, burstWhenBatchFull: true, pollingIntervalSeconds: 0.5 }, handler)
  await done
  await allEnded(setup.pool, schema)
  const rate = perSecond(count, began)
  if (largest !== batchSize) throw new Error(`pg-boss took ${largest} jobs at a time, not batches of ${batchSize}.`)
  await stop?.()
  await boss.stop({ graceful: false })
  await setup.pool.query(`DROP SCHEMA ${schema} CASCADE`)
  return rate
}

async function drainCases(setup: Setup, bench: Bench): Promise<void> {
  const about = { unit: 'jobs/s', larger: true, runs: 3 } as const
  for (const [concurrency, full] of [
    [50, 10_000],
    [200, 20_000],
    [10, 3000],
    [1, 600],
  ] as const) {
    const count = bench.size(full)
    const suffix = concurrency === 50 ? '' : `-${concurrency}`
    const base = (): Promise<number> => drainBoss(setup, count, concurrency)
    const against = `pg-boss, batch ${concurrency}`
    const ours = (): Promise<number> => drain(setup, count, concurrency)
    await bench.compare({ ...about, case: `drain${suffix}`, against, base, ours })
    const plain = (): Promise<number> => drain(setup, count, concurrency, plainPreset)
    await bench.compare({ ...about, case: `drain-plain${suffix}`, against, base, ours: plain })
  }
}

async function appendCase(setup: Setup, bench: Bench): Promise<void> {
  const kernel = await openKernel(setup)
  const events = kernel.port('events')
  const { pool } = setup
  await pool.query(
    'CREATE TABLE raw_event (stream text, seq int, ts bigint, type text, data text, PRIMARY KEY (stream, seq))',
  )
  const data = { queue: 'order', name: 'order', worker: 'order', claim: 1 }
  const count = bench.size(20_000)
  let runs = 0

  /** Runs 100 callers. Each appends as soon as its last append is stored. */
  async function callers(append: (stream: string) => Promise<unknown>): Promise<number> {
    const run = ++runs
    const began = performance.now()
    const call = async (_value: unknown, caller: number): Promise<void> => {
      for (let n = caller; n < count; n += 100) await append(`${run}-${n}`)
    }
    await Promise.all(Array.from({ length: 100 }, call))
    return perSecond(count, began)
  }

  function rawAppender(): (stream: string) => Promise<void> {
    let waiting: { stream: string; resolve: () => void }[] = []
    let busy = false
    const flush = async (): Promise<void> => {
      const group = waiting
      waiting = []
      busy = true
      const text = `INSERT INTO raw_event SELECT s, 1, 0, 'step.started', d FROM unnest($1::text[], $2::text[]) AS x (s, d)`
      await pool.query(text, [group.map(({ stream }) => stream), group.map(() => JSON.stringify(data))])
      busy = false
      for (const { resolve } of group) resolve()
      if (waiting.length > 0) void flush()
    }
    return (stream) =>
      new Promise((resolve) => {
        waiting.push({ stream, resolve })
        if (!busy && waiting.length === 1) setImmediate(() => void flush())
      })
  }

  await bench.compare({
    case: 'append',
    unit: 'appends/s',
    against: 'raw unnest insert, same group commit',
    larger: true,
    runs: 3,
    ours: () => callers(async (stream) => events.append(stream, [{ type: 'step.started', data }])),
    base: () => callers(rawAppender()),
  })
  await kernel.close()
}

async function latencyCases(setup: Setup, bench: Bench): Promise<void> {
  const kernel = await openKernel(setup)
  let started = (): void => {}
  await kernel.registerWorker({
    id: 'order',
    config: { queue: 'order', concurrency: 1 },
    handler: async () => started(),
  })
  await kernel.start()
  const boss = await openBoss(setup)
  await boss.work('order', { batchSize: 1, pollingIntervalSeconds: 0.5 }, async () => started())

  /** Milliseconds from the call of enqueue to the start of the handler, one job at a time, idle in between. */
  async function measure(share: number, push: () => Promise<unknown>): Promise<number> {
    const samples: number[] = []
    for (let sample = 0; sample < bench.size(150); sample++) {
      await new Promise((resolve) => setTimeout(resolve, 20))
      const settled = Promise.withResolvers<number>()
      const began = performance.now()
      started = () => settled.resolve(performance.now() - began)
      await push()
      samples.push(await settled.promise)
    }
    return quantile(samples, share)
  }

  for (const [name, share] of [
    ['latency-p50', 0.5],
    ['latency-p99', 0.99],
  ] as const) {
    await bench.compare({
      case: name,
      unit: 'ms',
      against: 'pg-boss with LISTEN/NOTIFY',
      larger: false,
      runs: 3,
      ours: () => measure(share, () => kernel.enqueue('order', ORDER)),
      base: () => measure(share, () => boss.send('order', ORDER)),
    })
  }
  await boss.stop({ graceful: false })
  await kernel.close()
}

async function enqueueCases(setup: Setup, bench: Bench): Promise<void> {
  const kernel = await openKernel(setup)
  const boss = await openBoss(setup)
  const ours = (): Promise<unknown> => kernel.enqueue(target, ORDER)
  const base = (): Promise<unknown> => boss.send('order', ORDER)

  async function callers(count: number, width: number, send: () => Promise<unknown>): Promise<number> {
    const began = performance.now()
    const call = async (): Promise<void> => {
      for (let n = 0; n < count / width; n++) await send()
    }
    await Promise.all(Array.from({ length: width }, call))
    return perSecond(count, began)
  }

  const about = { unit: 'jobs/s', larger: true, runs: 3 } as const
  for (const [name, count, width] of [
    ['enqueue', 1000, 1],
    ['enqueue-100', 10_000, 100],
  ] as const) {
    await bench.compare({
      ...about,
      case: name,
      against: `pg-boss send, ${width} in flight`,
      ours: () => callers(bench.size(count), width, ours),
      base: () => callers(bench.size(count), width, base),
    })
  }
  const many = bench.size(20_000)
  const bulk = async (run: () => Promise<void>): Promise<number> => {
    const began = performance.now()
    await run()
    return perSecond(many, began)
  }
  await bench.compare({
    ...about,
    case: 'bulk',
    against: 'pg-boss insert by 1000',
    ours: () => bulk(() => fill(kernel, many)),
    base: () => bulk(() => fillBoss(boss, many)),
  })
  await boss.stop({ graceful: false })
  await kernel.close()
}

export default async function bench(bench: Bench): Promise<void> {
  const service = await startPostgres({ fsync: true })
  const pool = new Pool({ connectionString: service.url })
  const setup = { url: service.url, pool }
  await drainCases(setup, bench)
  await appendCase(setup, bench)
  await latencyCases(setup, bench)
  await enqueueCases(setup, bench)
  await graphileCases(setup, (count, concurrency) => drain(setup, count, concurrency), bench)
  await pool.end()
  await service.stop()
}
