import { afterAll, expect, it } from 'vitest'
import { createKernel, type KernelConfig, type Preset } from '../../index.ts'
import prodPostgres from '../../presets/prod-postgres.ts'
import prodRedis from '../../presets/prod-redis.ts'
import { sharedPostgres } from '../services/postgres.ts'
import { startRedis } from '../services/redis.ts'

const [redis, postgres] = await Promise.all([startRedis({ maxmemoryPolicy: 'allkeys-lru' }), sharedPostgres()])
afterAll(() => Promise.all([redis.stop(), postgres.stop()]))

const STORES: [Preset, KernelConfig, expected: Record<string, string>][] = [
  [
    prodRedis,
    { redis: { url: redis.url, checkServer: false } },
    { 'redis.eviction': 'problem', 'redis.persistence': 'problem', clock: 'ok', bullmq: 'ok' },
  ],
  [
    prodPostgres,
    {
      postgres: {
        url: postgres.url,
        schema: `doctor_${process.pid}`,
        pool: { options: '-c synchronous_commit=off' },
      },
    },
    { 'postgres.synchronous-commit': 'warning', clock: 'ok', 'pg-boss': 'ok', 'pg-boss.tables': 'ok' },
  ],
]

it.each(STORES.map(([preset, config, expected]) => ({ name: preset.name, preset, config, expected })))(
  'finds settings that lose jobs on $name, and jobs without a worker, whether a process works there or not',
  async ({ preset, config, expected }) => {
    const common = { registry: { dirs: [] }, setupTimeout: 120_000 }
    const open = () => createKernel({ preset, config: { ...common, ...config }, reporter: { warn() {}, error() {} } })
    const [worker, outside] = await Promise.all([open(), open()])
    try {
      await worker.registerWorker({ id: 'mail', config: { queue: 'mail' }, handler: () => 1 })
      for (const queue of ['mail', 'nobody']) await outside.enqueue({ queue, name: queue })
      const workers = async (): Promise<string[]> =>
        (await outside.diagnose()).flatMap(({ check, message }) =>
          check === 'queues.workers' ? [/queue "(\w+)"/.exec(message)![1]!] : [],
        )
      expect(await workers()).toEqual(['mail', 'nobody'])
      await worker.start()
      await expect.poll(workers, { timeout: 30_000, interval: 20 }).toEqual(['nobody'])
      const levels = Object.fromEntries((await outside.diagnose()).map(({ check, level }) => [check, level]))
      expect(levels).toMatchObject({ ...expected, instances: 'ok', 'store.queue': 'ok', 'store.events': 'ok' })
    } finally {
      await Promise.all([worker.close(), outside.close()])
    }
  },
)
