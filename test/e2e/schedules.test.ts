import { createKernel, type Kernel, type KernelConfig } from 'nuxt-queue/kernel'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import prodPostgres from '../../presets/prod-postgres.ts'
import prodRedis from '../../presets/prod-redis.ts'
import { postgresForFile } from '../conformance/postgres-rig.ts'
import { inLongForm } from '../services/long.ts'
import { sharedRedis } from '../services/redis.ts'
import { collect, until } from './redis/rig.ts'

const redis = await sharedRedis()
afterAll(() => redis.stop())
const postgres = await postgresForFile()

const COMMON: KernelConfig = { registry: { dirs: [] }, abortGrace: 20 }

/** Creates a separate store. Each instance is created with its number. */
const onRedis = {
  name: 'Redis',
  preset: prodRedis,
  config: async () => ({ redis: { url: redis.url, prefix: crypto.randomUUID(), checkServer: false } }),
}
const onPostgres = {
  name: 'PostgreSQL',
  preset: prodPostgres,
  config: async () => {
    await postgres.empty()
    return { postgres: { ...postgres.config, pollInterval: 500 } }
  },
}

interface Run {
  instance: number
  name: string
  moment: number
}

describe.each([onRedis, ...inLongForm(onPostgres)])('schedules of several instances on $name', ({ preset, config }) => {
  /** Starts instances on one store whose worker `note` records its jobs. */
  async function instances() {
    const store = await config()
    const ran: Run[] = []
    const start = async (instance: number, schedules?: KernelConfig['schedules']): Promise<Kernel> => {
      const kernel = await createKernel({ preset, config: { ...COMMON, ...store, schedules }, reporter: collect() })
      onTestFinished(async () => void (await kernel.close({ timeout: 0 })))
      await kernel.registerWorker({
        id: 'note',
        config: { queue: 'note', concurrency: 5 },
        handler({ id }) {
          const [name, moment] = id.split('.')
          ran.push({ instance, name: name!, moment: Number(moment) })
        },
      })
      await kernel.start()
      return kernel
    }
    return { start, ran, of: (name: string) => ran.filter((run) => run.name === name).map(({ moment }) => moment) }
  }

  it('start each moment once', async () => {
    const app = await instances()
    const schedules = { often: { every: 100, worker: 'note' } }
    const kernels = await Promise.all([1, 2, 3].map((instance) => app.start(instance, schedules)))
    await until(() => app.of('often').length >= 8)
    await Promise.all(kernels.map((kernel) => kernel.close()))
    const moments = app.of('often')
    expect(new Set(moments).size).toBe(moments.length)
  })

  it('continue with a tick that only one of them knows, in any process', async () => {
    const app = await instances()
    await app.start(1)
    await app.start(2, { rare: { every: 400, worker: 'note' } })
    await until(() => app.of('rare').length >= 2)
    const moments = app.of('rare')
    expect(new Set(moments).size).toBe(moments.length)
  })

  it('run the old and the new definition during a deployment, shared moments once, and then only the new definition', async () => {
    const app = await instances()
    const first = await app.start(1, { changed: { every: 300, worker: 'note' } })
    await until(() => app.of('changed').length >= 2)
    const second = await app.start(2, { changed: { every: 450, worker: 'note' } })
    const both = Date.now()
    const isNew = (moment: number): boolean => moment % 450 === 0
    const since = (start: number, wanted: (moment: number) => boolean): number =>
      app.of('changed').filter((moment) => moment > start && wanted(moment)).length
    await until(() => since(both, isNew) >= 2 && since(both, (moment) => !isNew(moment)) >= 1)
    await first.close()
    const closed = Date.now()
    await until(() => since(closed, isNew) >= 3)
    await second.close()
    const moments = app.of('changed')
    expect(new Set(moments).size).toBe(moments.length)
    expect(since(closed, (moment) => !isNew(moment))).toBe(0)
  })

  it('skip a moment while a job runs in one of them', async () => {
    const store = await config()
    const gate = Promise.withResolvers<void>()
    const began: number[] = []
    const passed: number[] = []
    for (const instance of [1, 2]) {
      const kernel = await createKernel({ preset, config: { ...COMMON, ...store }, reporter: collect() })
      onTestFinished(async () => void (await kernel.close({ timeout: 0 })))
      await kernel.registerWorker({
        id: 'busy',
        config: { queue: 'busy', concurrency: 5, schedule: { every: 100, overlap: 'skip' } },
        handler() {
          began.push(instance)
          return gate.promise
        },
      })
      await kernel.registerWorker({
        id: 'beside',
        config: { queue: 'beside', schedule: { every: 100 } },
        handler: () => void passed.push(instance),
      })
      await kernel.start()
    }
    await until(() => began.length > 0)
    const before = passed.length
    await until(() => passed.length > before + 5)
    expect(began).toHaveLength(1)
    gate.resolve()
    await until(() => began.length > 1)
  })
})
