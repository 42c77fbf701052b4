import { fileURLToPath } from 'node:url'
import { createKernel, type Kernel, type KernelConfig } from 'nuxt-queue'
import { afterAll, expect, it } from 'vitest'
import { inLongForm, LONG } from '../services/long.ts'
import { sharedPostgres } from '../services/postgres.ts'
import { sharedRedis } from '../services/redis.ts'
import { ROOT, startNode } from './processes.ts'

const PROCESS = fileURLToPath(new URL('../fixtures/bulk-process.ts', import.meta.url))
const LEASE = 1000
const CHUNK = 1000

async function failAll(kernel: Kernel, jobs: number): Promise<void> {
  for (let n = 0; n < jobs; n += CHUNK) {
    await kernel.enqueueMany(
      Array.from({ length: Math.min(CHUNK, jobs - n) }, (_, data) => ({ worker: 'w', data: n + data })),
    )
  }
  await expect.poll(async () => (await kernel.port('queue').getJobCounts('w')).failed, { timeout: 600_000 }).toBe(jobs)
}

/** Counts the jobs by how often they have been retried. */
async function roundsOf(kernel: Kernel): Promise<Record<number, number>> {
  const counts: Record<number, number> = {}
  let after: string | undefined
  do {
    const page = await kernel.findJobs({ queue: 'w', limit: 1000, ...(after !== undefined && { after }) })
    for (const { round } of page.jobs) counts[round] = (counts[round] ?? 0) + 1
    after = page.next
  } while (after !== undefined)
  return counts
}

/** Registers the test of a bulk retry whose processes are killed three times: on Redis, and in the long form on PostgreSQL. */
export async function testKills(jobs: number): Promise<void> {
  const redis = await sharedRedis()
  const postgres = LONG ? await sharedPostgres() : undefined
  afterAll(() => Promise.all([redis.stop(), postgres?.stop()]))
  const name = `bulk_${process.pid}_${jobs}`
  const presets: [preset: string, config: KernelConfig][] = [
    ['prod-redis', { redis: { url: redis.url, prefix: name, lease: LEASE, checkServer: false } }],
    ...inLongForm<[preset: string, config: KernelConfig]>([
      'prod-postgres',
      { postgres: { url: postgres?.url, schema: name, lease: LEASE, pollInterval: 500 } },
    ]),
  ]

  it.each(presets)(
    `a bulk retry of ${jobs} jobs whose process is killed three times retries each once on %s`,
    async (preset, config) => {
      const kernel = await createKernel({ preset, config: { registry: { dirs: [] }, ...config } })
      try {
        const broken = (): Promise<never> => Promise.reject(new Error('broken'))
        await kernel.registerWorker({ id: 'w', config: { queue: 'w', concurrency: 50 }, handler: broken })
        const producer = await createKernel({ preset, config: { registry: { dirs: [] }, ...config } })
        await producer.registerWorker({ id: 'w', config: { queue: 'w', concurrency: 50 }, handler: broken })
        await producer.start()
        await failAll(producer, jobs)
        await producer.close()

        const { id } = await kernel.bulk('retry', { queue: 'w', error: 'broken' }, { id: 'all' })
        const points = [jobs / 4, jobs / 5, jobs / 6].map((retries, index) => ({
          ...{ preset, config, retries: Math.floor(retries), before: index === 1 },
        }))
        const dying = points.map((settings) => startNode([PROCESS, JSON.stringify(settings)], ROOT))
        const ends = await Promise.all(dying.map(({ ended }) => ended))
        expect(ends.map(({ code }) => code)).toEqual([null, null, null])
        expect((await kernel.bulkReport(id)).status).toBe('running')

        await kernel.start()
        await kernel.result({ queue: '_bulk', id })
        const report = await kernel.bulkReport(id)
        expect(report).toMatchObject({
          status: 'completed',
          matched: jobs,
          done: jobs,
          skipped: 0,
          failed: 0,
          reasons: [],
        })
        await expect
          .poll(async () => (await kernel.port('queue').getJobCounts('w')).failed, { timeout: 600_000 })
          .toBe(jobs)
        expect(await roundsOf(kernel)).toEqual({ 1: jobs })
      } finally {
        await kernel.close({ timeout: 0 })
      }
    },
    1_800_000,
  )
}
