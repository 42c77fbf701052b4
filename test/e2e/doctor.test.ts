import { Redis } from 'ioredis'
import { Client } from 'pg'
import { afterAll, expect, it } from 'vitest'
import { createKernel, type KernelConfig, type Preset, type Reporter } from '../../index.ts'
import prodPostgres from '../../presets/prod-postgres.ts'
import prodRedis from '../../presets/prod-redis.ts'
import { sharedPostgres } from '../services/postgres.ts'
import { startRedis } from '../services/redis.ts'

const [redis, postgres] = await Promise.all([startRedis({ maxmemoryPolicy: 'allkeys-lru' }), sharedPostgres()])
afterAll(() => Promise.all([redis.stop(), postgres.stop()]))

const quiet = { warn() {}, error() {} }

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
  'finds settings that lose jobs on $name, and jobs without a worker, whether or not a process runs there',
  async ({ preset, config, expected }) => {
    const common = { registry: { dirs: [] }, setupTimeout: 120_000 }
    const open = () => createKernel({ preset, config: { ...common, ...config }, reporter: quiet })
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
      const levels = async () =>
        Object.fromEntries((await outside.diagnose()).map(({ check, level }) => [check, level]))
      // The worker may have done its job before the process has announced itself.
      await expect
        .poll(levels, { timeout: 30_000, interval: 20 })
        .toMatchObject({ ...expected, instances: 'ok', 'store.queue': 'ok', 'store.events': 'ok' })
    } finally {
      await Promise.all([worker.close(), outside.close()])
    }
  },
)

/** Collects the warnings of a kernel. */
function collect(): { warnings: string[]; reporter: Reporter } {
  const warnings: string[] = []
  return { warnings, reporter: { warn: (text) => void warnings.push(text), error() {} } }
}

it('names the queues that BullMQ clients of another version have written, and says what to do', async () => {
  const config = { redis: { url: redis.url, checkServer: false, prefix: 'versions' }, registry: { dirs: [] } }
  const { warnings, reporter } = collect()
  const client = new Redis(redis.url)
  for (const [queue, version] of [
    ['moved', 'bullmq:5.41.0'],
    ['new', 'bullmq:6.7.0'],
    ['foreign', 'taskforce'],
  ] as const) {
    await client.hset(`versions:${queue}:meta`, 'version', version)
  }
  const kernel = await createKernel({ preset: prodRedis, config, reporter })
  try {
    const use = (queue: string) => kernel.enqueue({ queue, name: 'job' })
    for (const queue of ['moved', 'new', 'foreign', 'own', 'moved']) await use(queue)
    await expect.poll(() => warnings.length).toBe(2)
    expect(warnings[0]).toMatch(
      /"moved" was written by bullmq 5\.41\.0; .*tested with bullmq \^6.*: HDEL versions:moved:meta version$/,
    )
    expect(warnings[1]).toMatch(/"foreign" was written by taskforce;/)
    const found = (await kernel.diagnose()).filter(({ check }) => check === 'bullmq.clients')
    expect(found.map(({ level }) => level)).toEqual(['problem', 'problem'])
    await client.hdel('versions:moved:meta', 'version')
    expect((await kernel.diagnose()).filter(({ check }) => check === 'bullmq.clients')).toHaveLength(1)
  } finally {
    client.disconnect()
    await kernel.close()
  }
})

it('warns if another release of pg-boss has changed its tables, and refuses tables that are too old', async () => {
  const schema = `doctor_${process.pid}`
  const config = { postgres: { url: postgres.url, schema }, registry: { dirs: [] }, setupTimeout: 120_000 }
  const open = (reporter: Reporter) => createKernel({ preset: prodPostgres, config, reporter })
  const client = new Client(postgres.url)
  await client.connect()
  try {
    await (await open(quiet)).close()
    const { warnings, reporter } = collect()
    await client.query(`UPDATE ${schema}.version SET version = 47`)
    await (await open(reporter)).close()
    expect(warnings).toEqual([
      'This release of nuxt-queue was tested with version 46 of the tables of pg-boss; got version 47. Jobs may not be found or run twice. Update nuxt-queue.',
    ])
    // The tables of an older pg-boss, without those of newer releases.
    await client.query(`CREATE RULE old AS ON UPDATE TO ${schema}.version DO INSTEAD NOTHING`)
    await client.query(`ALTER TABLE ${schema}.version DISABLE RULE old`)
    await client.query(`UPDATE ${schema}.version SET version = 45`)
    await client.query(`ALTER TABLE ${schema}.version ENABLE RULE old`)
    await expect(open(quiet)).rejects.toMatchObject({ code: 'STORE_INCOMPATIBLE' })
  } finally {
    await client.end()
  }
})
