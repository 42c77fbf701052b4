import { createKernel, type Kernel, type KernelConfig, type QueueConfig } from 'nuxt-queue'
import { describe, expect, it, onTestFinished } from 'vitest'
import { collect, until } from './redis/rig.ts'
import { SHARED_STORES } from './shared-stores.ts'

type Preset = NonNullable<QueueConfig['preset']>

/** Opens one of the instances of an application. */
async function instance(preset: Preset, config: KernelConfig): Promise<Kernel> {
  const own = { registry: { dirs: [] }, setupTimeout: 60_000 }
  const kernel = await createKernel({ preset, config: { ...own, ...config }, reporter: collect() })
  onTestFinished(async () => void (await kernel.close({ timeout: 0 })))
  return kernel
}

const jobs = (count: number, options = {}) =>
  Array.from({ length: count }, (_, data) => ({ worker: 'work', data, options }))

describe.each(SHARED_STORES)('%s, with jobs that were claimed ahead of their slots', (preset, configOf) => {
  it('gives them to other processes when the slots are occupied', async () => {
    const config = await configOf()
    const [busy, other] = [await instance(preset, config), await instance(preset, config)]
    const gate = Promise.withResolvers<void>()
    const stuck = Promise.withResolvers<void>()
    let begun = 0
    await busy.registerWorker({
      id: 'work',
      config: { queue: 'work', concurrency: 5 },
      async handler() {
        if (++begun <= 200) return 'quick'
        if (begun === 205) stuck.resolve()
        await gate.promise
        return 'slow'
      },
    })
    const enqueued = await busy.enqueueMany(jobs(1000))
    await busy.start()
    await stuck.promise
    await other.registerWorker({ id: 'work', config: { queue: 'work', concurrency: 5 }, handler: () => 'elsewhere' })
    await other.start()
    await until(async () => (await other.port('queue').getJobCounts('work')).completed === 995)
    expect(begun).toBe(205)
    gate.resolve()
    const results = await Promise.all(enqueued.map((job) => other.result(job, { timeout: 60_000 })))
    const count = (value: string): number => results.filter((result) => result === value).length
    expect(['quick', 'slow', 'elsewhere'].map(count)).toEqual([200, 5, 795])
  })

  it.each([0, 5])(
    'returns them in their order when it closes, with priority %i, and runs none of them twice',
    async (priority) => {
      const config = await configOf()
      const [closing, other] = [await instance(preset, config), await instance(preset, config)]
      const [before, after]: [number[], number[]] = [[], []]
      const half = Promise.withResolvers<void>()
      await closing.registerWorker({
        id: 'work',
        config: { queue: 'work', concurrency: 5 },
        handler({ data }) {
          if (before.push(data as number) === 300) half.resolve()
        },
      })
      const enqueued = await closing.enqueueMany(jobs(1000, { priority }))
      await closing.start()
      await half.promise
      expect(await closing.close({ timeout: 60_000 })).toEqual({ aborted: [] })
      expect((await other.port('queue').getJobCounts('work')).active).toBe(0)
      const handler = ({ data }: { data: unknown }): void => void after.push(data as number)
      await other.registerWorker({ id: 'work', config: { queue: 'work' }, handler })
      await other.start()
      await other.result(enqueued.at(-1)!, { timeout: 60_000 })
      expect(after).toEqual(after.toSorted((a, b) => a - b))
      expect([...before, ...after].toSorted((a, b) => a - b)).toEqual(enqueued.map((_, data) => data))
    },
  )

  it('returns them when a rate limit holds the queue', async () => {
    const kernel = await instance(preset, await configOf())
    let begun = 0
    const handler = (): void => void begun++
    const rateLimit = { limit: 300, period: 600_000 }
    await kernel.registerWorker({ id: 'work', config: { queue: 'work', concurrency: 5, rateLimit }, handler })
    await kernel.enqueueMany(jobs(1000))
    await kernel.start()
    await until(async () => {
      const { active, completed } = await kernel.port('queue').getJobCounts('work')
      return completed === 300 && active === 0
    })
    expect(begun).toBe(300)
  })
})
