import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { createKernel, type Kernel, type KernelConfig, type Preset } from 'nuxt-queue'
import { dev, devFile, prodPostgres, prodRedis } from 'nuxt-queue/presets'
import { join } from 'pathe'
import { startPostgres } from '../services/postgres.ts'
import { sharedRedis } from '../services/redis.ts'
import { median, round, type Bench } from './harness.ts'

/** How many runs wait. */
const RUNS = Number(process.env.BENCH_WAITING ?? 100_000)
const LIMIT = 3000

async function open(preset: Preset, config: KernelConfig): Promise<Kernel> {
  const kernel = await createKernel({ preset, config: { registry: { dirs: [] }, setupTimeout: 60_000, ...config } })
  await kernel.registerWorker({
    id: 'waits',
    config: {
      ...{ queue: 'waits', concurrency: 100, flow: { name: 'waiting', role: 'entry' } },
      awaitBefore: { type: 'event', event: 'go', match: 'order' },
    },
    handler: (_job, ctx) => ctx.awaited?.payload,
  })
  await kernel.start()
  return kernel
}

async function fill(kernel: Kernel, runs: number): Promise<void> {
  for (let from = 0; from < runs; from += 1000) {
    const orders = Array.from({ length: Math.min(1000, runs - from) }, (_, index) => from + index)
    await Promise.all(orders.map((order) => kernel.flow('waiting').start({ order }, { id: `run-${order}` })))
  }
  for (;;) {
    const { delayed } = await kernel.port('queue').getJobCounts('waits')
    if (delayed === runs) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length

/** Measures the cost of many waiting runs: timers, a restart, and the time from an event to the end of its run. */
export default async function bench(bench: Bench): Promise<void> {
  const [redis, postgres] = [await sharedRedis(), await startPostgres({ fsync: true })]
  const folder = mkdtempSync(join(tmpdir(), 'nuxt-queue-bench-'))
  const presets: [name: string, preset: Preset, config: KernelConfig][] = [
    ['memory', dev, {}],
    ['file', devFile, { file: { path: folder } }],
    ['redis', prodRedis, { redis: { url: redis.url, checkServer: false } }],
    ['postgres', prodPostgres, { postgres: { url: postgres.url } }],
  ]
  const tell = (name: string, unit: string, ours: number, base: number, against: string): void =>
    bench.emit({ case: name, unit, ours: round(ours), base, against, ratio: round(base / ours), runs: 1 })
  for (const [name, preset, config] of presets) {
    if (!['timers', 'restart', 'resume'].some((what) => bench.wants(`${what}-${name}`))) continue
    let kernel = await open(preset, config)
    const before = timers()
    await fill(kernel, bench.size(RUNS))
    tell(`timers-${name}`, 'timers', timers() - before + 1, 1, 'those of an idle instance, plus one')
    if (name !== 'memory') {
      await kernel.close()
      const began = performance.now()
      kernel = await open(preset, config)
      tell(`restart-${name}`, 'ms', performance.now() - began, LIMIT, 'the 3 s it may take')
    }
    const samples: number[] = []
    for (let order = 0; order < 20; order++) {
      const began = performance.now()
      await kernel.sendEvent('go', { order }, { id: `go-${order}` })
      await kernel.waitFor(`run-${order}`, 'end')
      samples.push(performance.now() - began)
    }
    tell(`resume-${name}`, 'ms', median(samples), 1000, 'a second')
    await kernel.close()
  }
  rmSync(folder, { recursive: true, force: true })
  await redis.stop()
  await postgres.stop()
}
