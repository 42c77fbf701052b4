import { createKernel, type KernelConfig, type QueueConfig } from 'nuxt-queue'
import { expect, it, onTestFinished } from 'vitest'
import { sharedPostgres } from '../services/postgres.ts'
import { sharedRedis } from '../services/redis.ts'
import { collect, until } from './redis/rig.ts'

const STORES: [NonNullable<QueueConfig['preset']>, () => Promise<KernelConfig>][] = [
  [
    'prod-redis',
    async () => {
      const server = await sharedRedis()
      onTestFinished(() => server.stop())
      return { redis: { url: server.url, prefix: crypto.randomUUID(), checkServer: false } }
    },
  ],
  [
    'prod-postgres',
    async () => {
      const server = await sharedPostgres()
      onTestFinished(() => server.stop())
      return { postgres: { url: server.url, schema: `early_${crypto.randomUUID().slice(0, 8)}` } }
    },
  ],
]

it.each(STORES)(
  '%s settles a job in the round trip that stores its end if its worker runs one at a time',
  async (preset, configOf) => {
    const kernel = await createKernel({
      preset,
      config: { registry: { dirs: [] }, setupTimeout: 60_000, ...(await configOf()) },
      reporter: collect(),
    })
    onTestFinished(async () => void (await kernel.close({ timeout: 0 })))
    const [opened, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const ended: unknown[] = []
    const started: unknown[] = []
    kernel.port('queue').on('w', 'completed', (_event, _queue, job) => void ended.push(job?.result))
    kernel.hook('emit', async ({ events }, next) => {
      await next()
      if (events.at(-1)?.type !== 'step.completed') return
      held.resolve()
      await opened.promise
    })
    const handler = ({ data }: { data: unknown }): unknown => (started.push(data), data)
    await kernel.registerWorker({ id: 'w', config: { queue: 'w' }, handler })
    const [first, second] = await kernel.enqueueMany(['first', 'second'].map((data) => ({ worker: 'w', data })))
    await kernel.start()
    await held.promise
    // A hook still works behind the append, so the runner has not settled the job. The store has, and the next job has begun.
    await until(async () => (await kernel.port('queue').getJob('w', first!.id))?.state === 'completed')
    await until(() => started.length === 2)
    expect(ended).toEqual([])
    opened.resolve()
    await kernel.result(second!)
    await until(() => ended.length === 2)
    expect(ended).toEqual(['first', 'second'])
    expect(await kernel.close({ timeout: 30_000 })).toEqual({ aborted: [] })
  },
)
