import { createKernel, type Kernel, type KernelConfig, type WorkerInput } from 'nuxt-queue'
import { Pool } from 'pg'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { inLongForm, LONG } from '../services/long.ts'
import { sharedPostgres } from '../services/postgres.ts'
import { sharedRedis } from '../services/redis.ts'

const redis = await sharedRedis()
const postgres = LONG ? await sharedPostgres() : undefined
const schemas: string[] = []
afterAll(async () => {
  await redis.stop()
  if (!postgres) return
  const pool = new Pool({ connectionString: postgres.url, max: 1 })
  for (const schema of schemas) await pool.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`)
  await pool.end()
  await postgres.stop()
})

function freshSchema(): string {
  const schema = `nq_flow_${process.pid}_${schemas.length}`
  schemas.push(schema)
  return schema
}

const stores: [preset: string, config: () => KernelConfig][] = [
  ['prod-redis', () => ({ redis: { url: redis.url, prefix: crypto.randomUUID(), checkServer: false } })],
  ...inLongForm<[preset: string, config: () => KernelConfig]>([
    'prod-postgres',
    () => ({ postgres: { url: postgres?.url, schema: freshSchema() } }),
  ]),
]

/** Three instances with the same worker, on one store. */
async function instances(preset: string, config: KernelConfig, worker: WorkerInput): Promise<[Kernel, Kernel, Kernel]> {
  const open = async (): Promise<Kernel> => {
    const kernel = await createKernel({ preset, config: { registry: { dirs: [] }, abortGrace: 20, ...config } })
    onTestFinished(async () => void (await kernel.close({ timeout: 0 })))
    await kernel.registerWorker(worker)
    await kernel.start()
    return kernel
  }
  return [await open(), await open(), await open()]
}

describe.each(stores)('several instances on %s', (preset, config) => {
  it('run no more jobs of a key at once than their shared limit', async () => {
    const running = new Map<string, number>()
    let most = 0
    const two = Promise.withResolvers<void>()
    const [first, ...others] = await instances(preset, config(), {
      id: 'w',
      config: { queue: 'w', concurrency: 6, concurrencyPerKey: 2 },
      async handler({ data }) {
        const key = String(data)
        running.set(key, (running.get(key) ?? 0) + 1)
        most = Math.max(most, running.get(key)!)
        if (most > 1) two.resolve()
        // Two jobs meet on any machine. After that, there is time for a third one.
        await two.promise
        await new Promise((resolve) => setTimeout(resolve, 5))
        running.set(key, running.get(key)! - 1)
      },
    })
    const jobs = []
    for (let n = 0; n < 36; n++) {
      const kernel = [first, ...others][n % 3]!
      jobs.push(await kernel.enqueue('w', `k${n % 3}`, { concurrencyKey: `k${n % 3}` }))
    }
    await Promise.all(jobs.map((job) => first.result(job)))
    expect(most).toBe(2)
  })

  it('start no more jobs of a key in a span than their shared rate', async () => {
    const ran: string[] = []
    const [first, ...others] = await instances(preset, config(), {
      id: 'w',
      config: { queue: 'w', concurrency: 6, rateLimit: { max: 2, duration: 600_000 } },
      handler: ({ data }) => void ran.push(String(data)),
    })
    const keys = ['a', 'b', 'c']
    for (let n = 0; n < 18; n++) {
      const key = keys[n % 3]!
      await [first, ...others][n % 2]!.enqueue('w', key, { rateLimitKey: key })
    }
    await expect.poll(async () => first.port('queue').getJobCounts('w')).toMatchObject({ completed: 6, delayed: 12 })
    expect(ran.toSorted((a, b) => a.localeCompare(b))).toEqual(['a', 'a', 'b', 'b', 'c', 'c'])
  })

  it('share one window for each key, and do not lose the newest data', async () => {
    const ran: unknown[] = []
    const kernels = await instances(preset, config(), {
      id: 'w',
      config: { queue: 'w', debounce: { delay: 400 } },
      handler: ({ data }) => void ran.push(data),
    })
    const jobs = await Promise.all(kernels.map((kernel, n) => kernel.enqueue('w', n)))
    expect(new Set(jobs.map(({ id }) => id)).size).toBe(1)
    expect(await kernels[1].enqueue('w', 'last')).toEqual({ ...jobs[0], deduplicated: true })
    await kernels[2].result(jobs[0]!)
    expect(ran).toEqual(['last'])
  })

  it('run at most the allowed number of jobs in a period', async () => {
    const ran: unknown[] = []
    const kernels = await instances(preset, config(), {
      id: 'w',
      config: { queue: 'w', throttle: { period: 10_000_000_000_000, max: 4 } },
      handler: ({ data }) => void ran.push(data),
    })
    const calls = Array.from({ length: 24 }, (_, n) => kernels[n % 3]!.enqueue('w', n))
    const jobs = await Promise.all(calls)
    expect(jobs.filter(({ deduplicated }) => !deduplicated)).toHaveLength(4)
    for (const job of jobs) await kernels[0].result(job)
    expect(ran).toHaveLength(4)
  })
})
