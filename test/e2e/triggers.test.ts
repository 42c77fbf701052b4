import { fileURLToPath } from 'node:url'
import { createKernel, type Kernel, type KernelConfig } from 'nuxt-queue'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { postgresForFile } from '../conformance/postgres-rig.ts'
import { inLongForm } from '../services/long.ts'
import { sharedRedis } from '../services/redis.ts'
import { ROOT, startNode } from './processes.ts'
import { collect, until } from './redis/rig.ts'

const PROCESS = fileURLToPath(new URL('../fixtures/trigger-process.ts', import.meta.url))

const redis = await sharedRedis()
afterAll(() => redis.stop())
const postgres = await postgresForFile()

const onRedis = {
  preset: 'prod-redis',
  config: async (): Promise<KernelConfig> => ({
    redis: { url: redis.url, prefix: crypto.randomUUID(), checkServer: false, lease: 1000 },
  }),
}
const onPostgres = {
  preset: 'prod-postgres',
  config: async (): Promise<KernelConfig> => {
    await postgres.empty()
    return { postgres: { ...postgres.config, lease: 1000, pollInterval: 500 } }
  },
}

/** An instance with the trigger of the fixture. It is not killed. */
async function application(preset: string, config: KernelConfig): Promise<Kernel> {
  const all = { registry: { dirs: [] }, abortGrace: 20, ...config }
  const kernel = await createKernel({ preset, config: all, reporter: collect() })
  onTestFinished(async () => void (await kernel.close({ timeout: 0 })))
  await kernel.registerTrigger({ name: 'orders', type: 'manual', flow: 'first' })
  kernel.subscribeTrigger('orders', { worker: 'second' })
  const flow = { name: 'first', role: 'entry' } as const
  await kernel.registerWorker({ id: 'entry', config: { queue: 'first', flow }, handler: () => 'done' })
  await kernel.registerWorker({ id: 'second', config: { queue: 'second' }, handler: () => 'done' })
  await kernel.start()
  return kernel
}

describe.each([onPostgres, ...inLongForm(onRedis)])('a trigger on $preset', ({ preset, config }) => {
  it.each(['stored', 'started'])(
    'starts everything once although its process died when the event was %s',
    async (dies) => {
      const store = await config()
      const settings = JSON.stringify({ preset, config: store, dies })
      const process = startNode([PROCESS, settings], ROOT)
      onTestFinished(() => process[Symbol.asyncDispose]())
      expect(await process.ended).toMatchObject({ code: null, stderr: '' })
      const kernel = await application(preset, store)
      const [record] = await until(async () => {
        const records = await kernel.triggerHistory('orders')
        return records.length > 0 && records
      })
      expect(record).toMatchObject({
        id: 'o1',
        started: [
          { subscription: 'flow:first', queue: 'first' },
          { subscription: 'worker:second', queue: 'second' },
        ],
      })
      for (const queue of ['first', 'second']) {
        const [job, ...more] = await until(async () => {
          const jobs = await kernel.port('queue').getJobs({ queue })
          // Each start is recorded before its job is enqueued.
          return jobs.length > 0 && jobs.every(({ state }) => state === 'completed') && jobs
        })
        expect(more).toEqual([])
        const ends = (await kernel.port('events').read(job!.runId)).filter(({ type }) => type === 'step.completed')
        expect(ends).toHaveLength(1)
      }
    },
  )

  it('fires each event once although several instances receive it', async () => {
    const store = await config()
    const kernels = await Promise.all([1, 2, 3].map(() => application(preset, store)))
    await Promise.all(
      kernels.flatMap((kernel) => ['a', 'b', 'c', 'd'].map((id) => kernel.emitTrigger('orders', id, { id }))),
    )
    const records = await until(async () => {
      const all = await kernels[0]!.triggerHistory('orders')
      return all.length === 4 && all
    })
    expect(records.map(({ id }) => id).toSorted()).toEqual(['a', 'b', 'c', 'd'])
    // Each is recorded before its job is queued.
    const jobs = await until(async () => {
      const queued = await kernels[0]!.port('queue').getJobs({ queue: 'second' })
      return queued.length === 4 && queued
    })
    expect(jobs.map(({ data }) => data as string).toSorted()).toEqual(['a', 'b', 'c', 'd'])
  })
})
