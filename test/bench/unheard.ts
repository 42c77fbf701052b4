import { createKernel, type Kernel, type KernelConfig, type Preset } from 'nuxt-queue'
import { dev, prodPostgres, prodRedis } from 'nuxt-queue/presets'
import { startPostgres } from '../services/postgres.ts'
import { sharedRedis } from '../services/redis.ts'
import { median, perSecond, round, type Bench } from './harness.ts'

/** The number of events without a waiter. `BENCH_UNHEARD=1000000` is the full measurement. */
const EVENTS = Number(process.env.BENCH_UNHEARD ?? 50_000)
const IN_FLIGHT = 500
const LIMIT = 1000

async function open(preset: Preset, config: KernelConfig): Promise<Kernel> {
  const retention = { completed: { age: 10_000, count: 1000 }, minAge: 10_000 }
  const kernel = await createKernel({ preset, config: { registry: { dirs: [] }, retention, ...config } })
  const awaitBefore = { type: 'event', event: 'order.placed', match: 'order' } as const
  await kernel.registerWorker({
    id: 'waits',
    config: { flow: { name: 'waiting', role: 'entry' }, awaitBefore },
    handler: (_job, ctx) => ctx.awaited?.payload,
  })
  await kernel.start()
  return kernel
}

/** Sends a series of events, every tenth without a separate key, and waits until all are stored. Returns events per second. */
async function send(kernel: Kernel, from: number, to: number): Promise<number> {
  const began = performance.now()
  let next = from
  const lane = async (): Promise<void> => {
    while (next < to) {
      const order = next++
      const key = order % 10 === 0 ? {} : { key: `order-${order}` }
      await kernel.sendEvent('order.shipped', { order, text: 'on its way' }, key)
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane))
  for (;;) {
    const { waiting, active, delayed } = await kernel.port('queue').getJobCounts('_bus')
    if (waiting + active + delayed === 0) return perSecond(to - from, began)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

const time = async (work: () => unknown): Promise<number> => {
  const began = performance.now()
  await work()
  return performance.now() - began
}

/** Measures the duration of a wait, of a list of runs and of a list of jobs. Each is the median of several. */
async function look(kernel: Kernel, first: number): Promise<Record<'resume' | 'runs' | 'jobs', number>> {
  const samples = { resume: [] as number[], runs: [] as number[], jobs: [] as number[] }
  for (let order = first; order < first + 20; order++) {
    const { runId } = await kernel.flow('waiting').start({ order })
    samples.resume.push(
      await time(async () => {
        await kernel.sendEvent('order.placed', { order })
        await kernel.waitFor(runId, 'end')
      }),
    )
    samples.runs.push(await time(() => kernel.port('events').runs.list({ status: 'running', hideInternal: true })))
    samples.jobs.push(await time(() => kernel.port('queue').getJobs({ queue: 'waits' })))
  }
  return { resume: median(samples.resume), runs: median(samples.runs), jobs: median(samples.jobs) }
}

/** Measures events without a waiter: the cost of one among few and among many, and how they affect other operations. */
export default async function bench(bench: Bench): Promise<void> {
  const [redis, postgres] = [await sharedRedis(), await startPostgres({ fsync: true })]
  const presets: [name: string, preset: Preset, config: KernelConfig][] = [
    ['memory', dev, {}],
    ['redis', prodRedis, { redis: { url: redis.url, checkServer: false } }],
    ['postgres', prodPostgres, { postgres: { url: postgres.url } }],
  ]
  for (const [name, preset, config] of presets) {
    if (!['send', 'heap', 'resume', 'runs', 'jobs'].some((what) => bench.wants(`${what}-${name}`))) continue
    const tell = (what: string, unit: string, ours: number, base: number, against: string, larger = false): void => {
      const ratio = round(larger ? ours / base : base / ours)
      bench.emit({
        case: `${what}-${name}`,
        unit,
        ours: round(ours),
        base: round(base),
        against,
        ratio,
        runs: 1,
      })
    }
    const kernel = await open(preset, config)
    const events = bench.size(EVENTS)
    const tenth = Math.floor(events / 10)
    await send(kernel, 0, tenth)
    const few = await send(kernel, tenth, 2 * tenth)
    const before = await look(kernel, 0)
    globalThis.gc?.()
    const heap = process.memoryUsage().heapUsed
    await send(kernel, 2 * tenth, 9 * tenth)
    const many = await send(kernel, 9 * tenth, events)
    globalThis.gc?.()
    const grown = (process.memoryUsage().heapUsed - heap) / (8 * tenth)
    const after = await look(kernel, 1000)
    tell('send', 'events/s', many, few, `those of the second tenth of ${events}`, true)
    tell('heap', 'bytes/event', grown, 2000, 'what may be held in memory')
    tell('resume', 'ms', after.resume, LIMIT, `a second; ${round(before.resume)} ms with few`)
    tell('runs', 'ms', after.runs, LIMIT, `a second; ${round(before.runs)} ms with few`)
    tell('jobs', 'ms', after.jobs, LIMIT, `a second; ${round(before.jobs)} ms with few`)
    await kernel.close()
  }
  await redis.stop()
  await postgres.stop()
}
