import { Logger, makeWorkerUtils, run } from 'graphile-worker'
import type { Pool } from 'pg'
import { countdown, perSecond, type Bench } from './harness.ts'
import { ORDER, total, type Order } from './payload.ts'
import { settleDown } from './postgres.ts'

const silent = new Logger(() => () => {})

interface Tuning {
  localQueue?: { size: number }
  completeJobBatchDelay?: number
}

/** Drains a queue with graphile-worker, for reference. Returns jobs per second. */
async function drain(url: string, pool: Pool, count: number, tuning: Tuning): Promise<number> {
  const schema = 'graphile_bench'
  const utils = await makeWorkerUtils({ connectionString: url, schema, logger: silent })
  await utils.migrate()
  const text = `SELECT count(*) FROM ${schema}.add_jobs(ARRAY(
    SELECT json_populate_record(null::${schema}.job_spec, json_build_object('identifier', 'order', 'payload', $1::json))
    FROM generate_series(1, 1000)))`
  for (let sent = 0; sent < count; sent += 1000) await pool.query(text, [JSON.stringify(ORDER)])
  await utils.release()
  await settleDown(pool)
  const { done, hit } = countdown(count)
  const began = performance.now()
  const runner = await run({
    connectionString: url,
    noHandleSignals: true,
    maxPoolSize: 10,
    preset: { worker: { schema, logger: silent, concurrentJobs: 24, ...tuning } },
    taskList: {
      async order(payload) {
        total(payload as Order)
        hit()
      },
    },
  })
  await done
  const rate = perSecond(count, began)
  await runner.stop()
  await runner.promise
  await pool.query(`DROP SCHEMA ${schema} CASCADE`)
  return rate
}

/** Compares graphile-worker with its defaults and tuned for speed, with the concurrency of `drain` and a higher one. */
export async function graphileCases(
  { url, pool }: { url: string; pool: Pool },
  ours: (count: number, concurrency: number) => Promise<number>,
  bench: Bench,
): Promise<void> {
  const tuned = { localQueue: { size: 500 }, completeJobBatchDelay: 0 }
  for (const [concurrency, full, name, tuning] of [
    [50, 20_000, 'drain-vs-graphile', {}],
    [200, 20_000, 'drain-200-vs-graphile', {}],
    [200, 20_000, 'drain-200-vs-graphile-tuned', tuned],
  ] as const) {
    const against = `graphile-worker, concurrency 24${name.endsWith('tuned') ? ', localQueue 500' : ''}`
    const count = bench.size(full)
    const about = { case: name, against, unit: 'jobs/s', larger: true, runs: 3 } as const
    const base = (): Promise<number> => drain(url, pool, count, tuning)
    await bench.compare({ ...about, base, ours: () => ours(count, concurrency) })
  }
}
