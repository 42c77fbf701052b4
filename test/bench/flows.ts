import { createKernel, type Kernel, type KernelConfig, type Preset, type WorkerInput } from 'nuxt-queue'
import { dev, prodPostgres, prodRedis } from 'nuxt-queue/presets'
import { startPostgres } from '../services/postgres.ts'
import { sharedRedis } from '../services/redis.ts'
import { countdown, perSecond, type Bench, type Comparison } from './harness.ts'

/** The number of consecutive jobs, in a run and in a chain of plain jobs. */
const STEPS = 10

type Handler = NonNullable<WorkerInput['handler']>

async function open(preset: Preset, config: KernelConfig = {}): Promise<Kernel> {
  return createKernel({ preset, config: { registry: { dirs: [] }, ...config } })
}

/** A flow of ten steps one after the other, and ten plain jobs of which each enqueues the next. */
async function openChains(preset: Preset, config?: KernelConfig) {
  const kernel = await open(preset, config)
  let hit = (): void => {}
  const last: Handler = () => hit()
  const names = Array.from({ length: STEPS }, (_, index) => `${index}`)
  for (const [index, name] of names.entries()) {
    const next = names[index + 1]
    const chain: Handler =
      next === undefined ? last : async ({ data }) => void (await kernel.enqueue(`plain-${next}`, data))
    await kernel.registerWorker({ id: `plain-${name}`, config: { queue: 'plain', concurrency: 5 }, handler: chain })
    const flow: Handler = next === undefined ? last : ({ data }, ctx) => ctx.flow.emit(next, data)
    const place = index === 0 ? { role: 'entry' as const } : { role: 'step' as const, subscribes: name }
    const emits = next === undefined ? [] : [next]
    const options = { queue: 'flow', concurrency: 5, flow: { name: 'chain', ...place, emits } }
    await kernel.registerWorker({ id: `flow-${name}`, config: options, handler: flow })
  }
  await kernel.start()
  const measure = async (runs: number, start: () => Promise<unknown>): Promise<number> => {
    const { done, hit: count } = countdown(runs)
    hit = count
    const began = performance.now()
    await Promise.all(Array.from({ length: runs }, start))
    await done
    return perSecond(runs * STEPS, began)
  }
  return {
    flows: (runs: number) => measure(runs, () => kernel.flow('chain').start({ n: 1 })),
    plain: (runs: number) => measure(runs, () => kernel.enqueue('plain-0', { n: 1 })),
    /** Microseconds from the start of a run to its last step, one run at a time. */
    async oneByOne(runs: number): Promise<number> {
      const began = performance.now()
      for (let run = 0; run < runs; run++) {
        const { done, hit: count } = countdown(1)
        hit = count
        const { runId } = await kernel.flow('chain').start({ n: 1 })
        await done
        await kernel.waitFor(runId, 'end')
      }
      return ((performance.now() - began) * 1000) / runs
    },
    close: () => kernel.close(),
  }
}

/** Measures a fan-out and its fan-in. Returns microseconds per job. */
async function openFan(preset: Preset, config?: KernelConfig) {
  const kernel = await open(preset, config)
  const flow = { name: 'fan' }
  await kernel.registerWorker({
    id: 'split',
    config: { queue: 'split', flow: { ...flow, role: 'entry', emits: ['part'] } },
    async handler({ data }, ctx) {
      for (let part = 0; part < (data as number); part++) await ctx.flow.emit('part', part)
    },
  })
  await kernel.registerWorker({
    id: 'part',
    config: { queue: 'part', concurrency: 50, flow: { ...flow, role: 'step', subscribes: 'part', emits: ['done'] } },
    handler: ({ data }, ctx) => ctx.flow.emit('done', data),
  })
  await kernel.registerWorker({
    id: 'sum',
    config: { queue: 'sum', flow: { ...flow, role: 'step', subscribes: 'done', gather: 'part' } },
    handler: ({ data }) => (data as { done: unknown[] }).done.length,
  })
  await kernel.start()
  const run = async (parts: number): Promise<void> => {
    const { runId } = await kernel.flow('fan').start(parts)
    const count = await kernel.flow('fan').result(runId)
    if (count !== parts) throw new Error(`${String(count)} of ${parts} parts came together.`)
  }
  return {
    async perJob(parts: number, times: number): Promise<number> {
      const began = performance.now()
      for (let time = 0; time < times; time++) await run(parts)
      return ((performance.now() - began) * 1000) / (parts * times)
    },
    close: () => kernel.close(),
  }
}

export default async function bench(bench: Bench): Promise<void> {
  const [redis, postgres] = [await sharedRedis(), await startPostgres({ fsync: true })]
  const presets: [name: string, preset: Preset, config: KernelConfig][] = [
    ['memory', dev, {}],
    ['redis', prodRedis, { redis: { url: redis.url, checkServer: false } }],
    ['postgres', prodPostgres, { postgres: { url: postgres.url } }],
  ]
  const run = async (about: Omit<Comparison, 'runs'>): Promise<void> => {
    await bench.compare({ runs: 5, ...about })
  }
  for (const [name, preset, config] of presets) {
    const chains = await openChains(preset, config)
    const count = bench.size(name === 'memory' ? 2000 : 300)
    await run({
      case: `step-${name}`,
      unit: 'jobs/s',
      larger: true,
      against: 'plain jobs that enqueue the next',
      ours: () => chains.flows(count),
      base: () => chains.plain(count),
    })
    if (name === 'memory') {
      await run({
        case: 'run-of-ten-steps',
        unit: 'us',
        larger: false,
        against: 'the 500 us it may take',
        ours: () => chains.oneByOne(bench.size(1000)),
        base: () => Promise.resolve(500),
      })
    }
    await chains.close()
    const fan = await openFan(preset, config)
    await run({
      case: `fan-${name}`,
      unit: 'us/job',
      larger: false,
      against: 'a fan-out of 100 instead of 10,000',
      ours: () => fan.perJob(bench.size(10_000), 1),
      base: () => fan.perJob(100, 20),
    })
    await fan.close()
  }
  await redis.stop()
  await postgres.stop()
}
