import fastq from 'fastq'
import { createKernel, definePlugin, type AnyPlugin, type Kernel } from 'nuxt-queue'
import PQueue from 'p-queue'
import { median, quantile, round, type Bench } from './harness.ts'
import { ORDER, total, type Order } from './payload.ts'

const IN_FLIGHT = 100
const JOBS = 100_000
const EVICT_ENDED = { completed: { count: 0 }, sweepEvery: 100 }

interface Load {
  /** Jobs to run. */
  jobs: number
  /** Jobs that are under way or waiting at a time. */
  waiting: number
}

/** Keeps `waiting` jobs in progress until `jobs` have run. Returns jobs per second. */
async function drive(
  { jobs, waiting }: Load,
  push: () => void,
  onDone: (callback: () => void) => void,
): Promise<number> {
  const finished = Promise.withResolvers<void>()
  let pushed = 0
  let done = 0
  onDone(() => {
    done++
    if (pushed < jobs) {
      pushed++
      push()
    } else if (done === jobs) finished.resolve()
  })
  const began = performance.now()
  while (pushed < waiting) {
    pushed++
    push()
  }
  await finished.promise
  return jobs / ((performance.now() - began) / 1000)
}

interface Rig {
  kernel: Kernel
  run: (load: Load) => Promise<number>
}

/** Creates the `dev` preset with one worker, as in an application. */
async function createRig(plugins: AnyPlugin[] = [], retention: object = EVICT_ENDED): Promise<Rig> {
  const kernel = await createKernel({ preset: 'dev', plugins, config: { registry: { dirs: [] }, retention } })
  let done = (): void => {}
  await kernel.registerWorker({
    id: 'order',
    config: { concurrency: IN_FLIGHT },
    handler: async (job) => {
      total(job.data as Order)
      done()
    },
  })
  await kernel.start()
  const push = (): void => void kernel.enqueue('order', ORDER)
  return { kernel, run: (load) => drive(load, push, (callback) => (done = callback)) }
}

/** Runs the same work with fastq. */

function bareFastq(load: Load): Promise<number> {
  let done = (): void => {}
  const handler = async (order: Order): Promise<void> => {
    total(order)
    done()
  }
  const queue = fastq<unknown, Order>(
    (order, callback) => void handler(order).then(() => callback(null), callback),
    IN_FLIGHT,
  )
  const push = (): void => queue.push(structuredClone(ORDER))
  return drive(load, push, (callback) => (done = callback))
}

function barePQueue(load: Load): Promise<number> {
  let done = (): void => {}
  const queue = new PQueue({ concurrency: IN_FLIGHT })
  const push = (): void => {
    const order = structuredClone(ORDER)
    void queue.add(async () => {
      total(order)
      done()
    })
  }
  return drive(load, push, (callback) => (done = callback))
}

/** Microseconds from the call of enqueue to the start of the handler, one job at a time. */
async function latencies(samples: number, push: (started: () => void) => void): Promise<number[]> {
  const out: number[] = []
  for (let sample = 0; sample < samples; sample++) {
    const settled = Promise.withResolvers<number>()
    const began = performance.now()
    push(() => settled.resolve((performance.now() - began) * 1000))
    out.push(await settled.promise)
  }
  return out
}

async function latencyCases(bench: Bench): Promise<void> {
  const { kernel } = await createRig()
  let started = (): void => {}
  await kernel.registerWorker({ id: 'latency', handler: async () => started() })
  const ours = (samples: number): Promise<number[]> =>
    latencies(samples, (callback) => {
      started = callback
      void kernel.enqueue('latency', ORDER)
    })
  const queue = fastq<unknown, Order>(
    (_order, callback) => void Promise.resolve(started()).then(() => callback(null)),
    1,
  )
  const base = (samples: number): Promise<number[]> =>
    latencies(samples, (callback) => {
      started = callback
      queue.push(structuredClone(ORDER))
    })
  for (const [name, share] of [
    ['latency-p50', 0.5],
    ['latency-p99', 0.99],
  ] as const) {
    await bench.compare({
      case: name,
      unit: 'us',
      against: 'fastq',
      larger: false,
      runs: 5,
      ours: async () => quantile(await ours(bench.size(20_000)), share),
      base: async () => quantile(await base(bench.size(20_000)), share),
    })
  }
  await kernel.close()
}

async function foldCases(bench: Bench): Promise<void> {
  const { kernel } = await createRig()
  const events = kernel.port('events')
  const cached = new Map<number, number>()
  for (const size of [1, 1000, 100_000]) {
    const runId = `fold-${size}`
    const drafts = Array.from({ length: size }, (_, index) => ({
      type: 'state.set',
      data: { key: `key-${index % 50}`, value: { index, label: `value ${index}` } },
    }))
    await events.append(runId, drafts)
    const time = async (repeats: number, call: () => unknown): Promise<number> => {
      const began = performance.now()
      for (let repeat = 0; repeat < repeats; repeat++) await call()
      return ((performance.now() - began) / repeats) * 1000
    }
    const plainFold = (): void => {
      const state: Record<string, unknown> = {}
      for (const { data } of drafts) state[data.key] = structuredClone(data.value)
    }
    const repeats = Math.max(3, Math.min(2000, Math.floor(200_000 / size)))
    await bench.compare({
      case: `fold-cold-${size}`,
      unit: 'us',
      against: 'loop with structuredClone',
      larger: false,
      runs: 5,
      ours: () => time(repeats, () => kernel.state(runId, { at: size })),
      base: () => time(repeats, plainFold),
    })
    await kernel.registerWorker({
      id: runId,
      async handler(_job, ctx) {
        await ctx.state.get('key-0')
        globalThis.gc?.()
        return time(20_000, () => ctx.state.get('key-0'))
      },
    })
    const samples: number[] = []
    for (let run = 0; run < 4; run++) {
      const job = await kernel.enqueue(runId, undefined, { runId: `${runId}-${run}` })
      await events.append(job.runId, drafts)
      samples.push((await kernel.result(job)) as number)
      await events.expire({ outcome: 'completed', endedBefore: Infinity, keep: 0 })
    }
    cached.set(size, median(samples.slice(1)))
    const [ours, base] = [cached.get(size)!, cached.get(1)!]
    const about = { case: `state-get-cached-${size}`, unit: 'us', against: 'history of 1', runs: 3 }
    bench.emit({ ...about, ours: round(ours), base: round(base), ratio: round(base / ours) })
  }
  await kernel.close()
}

async function heapCase(bench: Bench): Promise<void> {
  const rig = await createRig([], {})
  const heap = (): number => {
    globalThis.gc?.()
    return process.memoryUsage().heapUsed / 1024 / 1024
  }
  await rig.run({ jobs: JOBS, waiting: IN_FLIGHT })
  const base = heap()
  await rig.run({ jobs: 9 * JOBS, waiting: IN_FLIGHT })
  const ours = heap()
  const about = { case: 'heap-after-1m-jobs', unit: 'MB', against: 'after 100,000 jobs', runs: 1 }
  bench.emit({ ...about, ours: round(ours), base: round(base), ratio: round(base / ours) })
  await rig.kernel.close()
}

export default async function bench(bench: Bench): Promise<void> {
  const rig = await createRig()
  const busy = { jobs: bench.size(JOBS), waiting: IN_FLIGHT }
  const full = { jobs: bench.size(2 * JOBS), waiting: 50_000 }
  const jobs = { unit: 'jobs/s', larger: true, runs: 7 } as const
  const ours = (): Promise<number> => rig.run(busy)
  await bench.compare({ ...jobs, case: 'throughput', against: 'fastq', ours, base: () => bareFastq(busy) })
  await bench.compare({
    ...jobs,
    case: 'throughput-p-queue',
    against: 'p-queue',
    ours,
    base: () => barePQueue(busy),
  })
  const backlog = { ...jobs, case: 'throughput-50k-waiting', against: 'fastq' }
  await bench.compare({ ...backlog, ours: () => rig.run(full), base: () => bareFastq(full) })
  await latencyCases(bench)
  const noop = definePlugin({
    name: 'noop',
    setup: (kernel) => void kernel.hook('dispatch', (_dispatch, next) => next()),
  })
  const hooked = await createRig([noop])
  const perJob = async (run: Rig): Promise<number> => 1e9 / (await run.run(busy))
  const plugin = { case: 'one-more-noop-plugin', unit: 'ns/job', against: 'without it', larger: false, runs: 7 }
  await bench.compare({ ...plugin, ours: () => perJob(hooked), base: () => perJob(rig) })
  await foldCases(bench)
  await heapCase(bench)
  await rig.kernel.close()
  await hooked.kernel.close()
}
