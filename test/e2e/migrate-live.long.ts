// `npm test` moves a small application once. Here an application with a long history moves from Redis to PostgreSQL and back, and the
// command is killed ten times.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'pathe'
import { expect, test } from 'vitest'
import { checksumOf } from '../../plugins/integrations/lib/backup/checksum.ts'
import { sharedPostgres } from '../services/postgres.ts'
import { sharedRedis } from '../services/redis.ts'
import { dropSchema, moveApplication, withKernel, type StoreConfig } from './live-application.ts'

const RUNS = Number(process.env.LIVE_RUNS ?? 10_000)
const WAITING = RUNS / 5
const WAITS = RUNS / 100
const KILLS = 10
/** By default, runs that are completed are removed once there are 10,000. */
const retention = { completed: { age: 86_400_000, count: 1_000_000 } }

/** Stores runs that have ended, runs that have not, and jobs that nobody runs. */
const fill = (config: StoreConfig): Promise<void> =>
  withKernel(config, async (kernel) => {
    const events = kernel.port('events')
    for (let n = 0; n < RUNS; n += 1000) {
      const some = Array.from({ length: Math.min(1000, RUNS - n) }, (_, index) => n + index)
      await Promise.all(
        some.map((at) =>
          events.append(
            `run-${at}`,
            [{ type: 'a', key: 'a', data: { at } }, { type: 'b' }, { type: 'c', data: 'x'.repeat(at % 500) }],
            {
              run: { status: at % 10 ? 'completed' : 'running', name: 'note', tags: at % 7 ? [] : ['seventh'] },
            },
          ),
        ),
      )
    }
    const jobs = Array.from({ length: WAITING }, (_, n) => ({ worker: { queue: 'idle', name: 'idle' }, data: { n } }))
    await kernel.enqueueMany(jobs)
  })

/** Returns the checksums of the filled runs, and the data of the jobs that nobody runs, in order. */
const contentOf = (config: StoreConfig): Promise<unknown[]> =>
  withKernel({ ...config, instances: { moved: 'ignore' } }, async (kernel) => {
    const found: unknown[] = []
    for (let n = 0; n < RUNS; n += 100) {
      const names = Array.from({ length: 100 }, (_, index) => `run-${n + index}`)
      found.push(...(await Promise.all(names.map((name) => checksumOf(kernel.port('eventCopies'), name)))))
    }
    const waiting = await kernel.port('queue').getJobs({ queue: 'idle', states: ['waiting'], limit: WAITING })
    return [...found, ...waiting.map(({ data }) => data)]
  })

test('an application moves to PostgreSQL and back, although the command is killed ten times', async () => {
  const [redis, postgres] = await Promise.all([sharedRedis(), sharedPostgres()])
  const cwd = await mkdtemp(join(tmpdir(), 'nuxt-queue-live-'))
  const schema = `nq_live_long_${process.pid}`
  const inRedis = (): StoreConfig => ({
    ...{ adapter: 'redis', retention },
    redis: { url: redis.url, prefix: crypto.randomUUID(), checkServer: false },
  })
  const [first, second, third] = [
    inRedis(),
    { adapter: 'postgres', retention, postgres: { url: postgres.url, schema } },
    inRedis(),
  ]
  try {
    await fill(first)
    const expected = await contentOf(first)
    expect(new Set(expected).size).toBeGreaterThan(RUNS - 1)
    const there = { from: redis.url, to: postgres.url }
    process.stdout.write(
      await moveApplication({ cwd, from: first, to: second, urls: there, rate: 50, kills: KILLS, waits: WAITS }),
    )
    expect(await contentOf(second)).toEqual(expected)
    const back = { from: postgres.url, to: redis.url }
    process.stdout.write(await moveApplication({ cwd, from: second, to: third, urls: back, rate: 50, waits: WAITS }))
    expect(await contentOf(third)).toEqual(expected)
  } finally {
    await dropSchema(postgres.url, schema)
    await Promise.all([rm(cwd, { recursive: true, force: true }), redis.stop(), postgres.stop()])
  }
}, 1_800_000)
