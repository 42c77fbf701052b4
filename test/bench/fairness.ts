import { createKernel, type Kernel, type KernelConfig, type Preset } from 'nuxt-queue'
import { prodPostgres, prodRedis } from 'nuxt-queue/presets'
import { startPostgres } from '../services/postgres.ts'
import { sharedRedis } from '../services/redis.ts'
import { countdown, median, perSecond, type Bench } from './harness.ts'

/** How many jobs the large tenant has. */
const LARGE = Number(process.env.BENCH_FAIRNESS ?? 100_000)
const TENANTS = 50
/** How many jobs each of the other tenants has. */
const EACH = 20
/** How many jobs a drain has. */
const DRAINED = 20_000

interface Work {
  tenant: number
}

let queues = 0

async function open(preset: Preset, config: KernelConfig, fair: boolean) {
  const worker = `fair${queues++}`
  const kernel = await createKernel({ preset, config: { registry: { dirs: [] }, setupTimeout: 60_000, ...config } })
  let onJob = (_work: Work): void => {}
  await kernel.registerWorker({
    id: worker,
    config: { concurrency: 50, ...(fair && { fairKey: ({ tenant }: Work) => String(tenant) }) },
    handler: ({ data }) => onJob(data as Work),
  })
  return { kernel, worker, listen: (listener: typeof onJob) => void (onJob = listener) }
}

async function fill(kernel: Kernel, worker: string, count: number, tenantOf: (index: number) => number): Promise<void> {
  for (let from = 0; from < count; from += 1000) {
    const length = Math.min(1000, count - from)
    const jobs = Array.from({ length }, (_, index) => ({ worker, data: { tenant: tenantOf(from + index) } }))
    await kernel.enqueueMany(jobs)
  }
}

/** Returns the median wait of the jobs of the small tenants, which arrive together, in milliseconds. */
async function waitOfOthers(preset: Preset, config: KernelConfig, large: number): Promise<number> {
  const { kernel, worker, listen } = await open(preset, config, true)
  const waits: number[] = []
  const { done, hit } = countdown((TENANTS - 1) * EACH)
  const running = countdown(large > 0 ? 100 : 0)
  await fill(kernel, worker, large, () => 0)
  let began = performance.now()
  listen(({ tenant }) => {
    if (tenant === 0) return running.hit()
    waits.push(performance.now() - began)
    hit()
  })
  await kernel.start()
  if (large > 0) await running.done
  began = performance.now()
  await fill(kernel, worker, (TENANTS - 1) * EACH, (index) => 1 + (index % (TENANTS - 1)))
  await done
  await kernel.queue(worker).pause()
  await kernel.close()
  return median(waits)
}

async function drain(preset: Preset, config: KernelConfig, jobs: number, fair: boolean): Promise<number> {
  const { kernel, worker, listen } = await open(preset, config, fair)
  const { done, hit } = countdown(jobs)
  listen(() => hit())
  await fill(kernel, worker, jobs, (index) => index % TENANTS)
  const began = performance.now()
  await kernel.start()
  await done
  const speed = perSecond(jobs, began)
  await kernel.close()
  return speed
}

/** Measures what one tenant with many waiting jobs costs the others, and what `fairKey` costs a drain. */
export default async function bench(bench: Bench): Promise<void> {
  const [redis, postgres] = [await sharedRedis(), await startPostgres({ fsync: true })]
  const stores: [name: string, preset: Preset, config: KernelConfig][] = [
    ['redis', prodRedis, { redis: { url: redis.url, checkServer: false } }],
    ['postgres', prodPostgres, { postgres: { url: postgres.url } }],
  ]
  for (const [name, preset, config] of stores) {
    const large = bench.size(LARGE)
    await bench.compare({
      ...{ case: `wait-${name}`, unit: 'ms', larger: false, runs: 3 },
      against: 'without the large tenant',
      ours: () => waitOfOthers(preset, config, large),
      base: () => waitOfOthers(preset, config, 0),
    })
    const jobs = bench.size(DRAINED)
    await bench.compare({
      ...{ case: `drain-${name}`, unit: 'jobs/s', larger: true, runs: 5 },
      against: 'without fairKey',
      ours: () => drain(preset, config, jobs, true),
      base: () => drain(preset, config, jobs, false),
    })
  }
  await redis.stop()
  await postgres.stop()
}
