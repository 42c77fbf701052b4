import { createKernel, definePreset, type Kernel, type KernelConfig, type Preset } from 'nuxt-queue'
import { dev } from 'nuxt-queue/presets'
import { eventsOff } from './events-off.ts'
import { countdown, perSecond, quantile, type Bench, type Comparison } from './harness.ts'
import { ORDER, total, type Order } from './payload.ts'

/** A bare library on the same store. The caller chooses a new queue name each time. */
export interface BareLibrary {
  name: string
  /** Adds jobs at once, as fast as the library can. */
  bulk(queue: string, jobs: number): Promise<void>
  /** Adds one job. */
  add(queue: string): Promise<unknown>
  /** Runs `onJob` for each job of a queue. Returns a function that stops this. */
  work(queue: string, concurrency: number, onJob: () => void): Promise<() => Promise<void>>
}

export interface AdapterBench {
  preset: Preset
  /** The name of the event store of the preset, which is removed to measure its cost. */
  events: string
  /** Called for each kernel. Two kernels are open at once. */
  config(): KernelConfig
  bare: BareLibrary
  /** Other libraries to compare `drain` with. */
  references?: readonly BareLibrary[]
  /** Appends events without the package, with the given number in flight. Returns events per second. */
  rawAppend?: { name: string; run(events: number, inFlight: number): Promise<number> }
  /** Jobs of one drain. Default 20,000. */
  jobs?: number
  runs?: number
}

let queues = 0
const newQueue = (): string => `bench-${++queues}-${Date.now().toString(36)}`

function ourLibrary(name: string, kernel: Kernel): BareLibrary {
  return {
    name,
    async bulk(queue, jobs) {
      const item = { worker: { queue, name: 'order' }, data: ORDER }
      for (let from = 0; from < jobs; from += 1000) {
        await kernel.enqueueMany(Array.from({ length: Math.min(1000, jobs - from) }, () => item))
      }
    },
    add: async (queue) => kernel.enqueue({ queue, name: 'order' }, ORDER),
    async work(queue, concurrency, onJob) {
      const handler = async (job: { data: unknown }): Promise<void> => {
        total(job.data as Order)
        onJob()
      }
      await kernel.registerWorker({ id: queue, config: { queue, name: 'order', concurrency }, handler })
      return () => kernel.unregisterWorker(queue)
    },
  }
}

async function drain(library: BareLibrary, jobs: number, concurrency: number): Promise<number> {
  const queue = newQueue()
  await library.bulk(queue, jobs)
  const { done, hit } = countdown(jobs)
  const began = performance.now()
  const stop = await library.work(queue, concurrency, hit)
  await done
  const rate = perSecond(jobs, began)
  await stop()
  return rate
}

async function bulk(library: BareLibrary, jobs: number): Promise<number> {
  const began = performance.now()
  await library.bulk(newQueue(), jobs)
  return perSecond(jobs, began)
}

/** Calls `call` `count` times, `inFlight` at a time. Returns calls per second. */
async function inFlightRate(
  count: number,
  inFlight: number,
  call: (index: number) => Promise<unknown>,
): Promise<number> {
  let next = 0
  const began = performance.now()
  const lane = async (): Promise<void> => {
    while (next < count) await call(next++)
  }
  await Promise.all(Array.from({ length: inFlight }, lane))
  return perSecond(count, began)
}

/** Milliseconds from the call of enqueue to the start of the handler, one job at a time on an idle queue. */
async function latency(library: BareLibrary, samples: number, rest = 3): Promise<number[]> {
  const queue = newQueue()
  let started = (): void => {}
  const stop = await library.work(queue, 1, () => started())
  await new Promise((resolve) => setTimeout(resolve, 300))
  const out: number[] = []
  for (let sample = 0; sample < samples; sample++) {
    const settled = Promise.withResolvers<number>()
    const began = performance.now()
    started = () => settled.resolve(performance.now() - began)
    void library.add(queue)
    out.push(await settled.promise)
    // Waits until the consumer has settled the job and is idle. In memory, this takes one turn of the event loop.
    await new Promise((resolve) => (rest === 0 ? setImmediate(resolve) : setTimeout(resolve, rest)))
  }
  await stop()
  return out
}

/** Runs the cases of every durable adapter, each compared with the bare library in the same run. */
export async function benchAdapter(bench: Bench, adapter: AdapterBench): Promise<void> {
  const { preset, bare, rawAppend, references = [], runs = 5 } = adapter
  const jobs = bench.size(adapter.jobs ?? 20_000)
  const open = async (used: Preset): Promise<Kernel> => {
    const kernel = await createKernel({ preset: used, config: { registry: { dirs: [] }, ...adapter.config() } })
    await kernel.start()
    return kernel
  }
  const full = await open(preset)
  const ours = ourLibrary('nuxt-queue', full)
  const run = async (
    about: Omit<Comparison, 'runs' | 'against'> & { against?: string; runs?: number },
  ): Promise<void> => bench.compare({ against: bare.name, runs, ...about })
  const rate = { unit: 'jobs/s', larger: true } as const

  for (const concurrency of [50, 10, 1]) {
    const count = concurrency === 1 ? Math.ceil(jobs / 4) : jobs
    await run({
      ...rate,
      case: concurrency === 50 ? 'drain' : `drain-${concurrency}`,
      ours: () => drain(ours, count, concurrency),
      base: () => drain(bare, count, concurrency),
    })
  }
  for (const other of references) {
    await run({
      ...rate,
      case: `drain-vs-${other.name.replaceAll(/\W+/g, '-')}`,
      against: other.name,
      runs: 3,
      ours: () => drain(ours, jobs, 50),
      base: () => drain(other, jobs, 50),
    })
  }
  const plainKernel = await open(
    definePreset({ name: 'events-off', extends: preset, plugins: [eventsOff(adapter.events)] }),
  )
  const plain = ourLibrary('nuxt-queue without events', plainKernel)
  await run({
    ...rate,
    case: 'drain-plain',
    ours: () => drain(plain, jobs, 50),
    base: () => drain(bare, jobs, 50),
  })
  await plainKernel.close()
  await run({ ...rate, case: 'bulk', ours: () => bulk(ours, jobs), base: () => bulk(bare, jobs) })
  for (const inFlight of [1, 100]) {
    const count = inFlight === 1 ? bench.size(2000) : jobs
    const enqueue = (library: BareLibrary): Promise<number> => {
      const queue = newQueue()
      return inFlightRate(count, inFlight, () => library.add(queue))
    }
    await run({
      ...rate,
      case: inFlight === 1 ? 'enqueue' : `enqueue-${inFlight}`,
      ours: () => enqueue(ours),
      base: () => enqueue(bare),
    })
  }
  if (rawAppend) {
    const events = full.port('events')
    const event = { type: 'measured', data: { step: 'order', attempt: 1, total: 42.5 } }
    const append = (index: number): Promise<unknown> =>
      Promise.resolve(events.append(`stream-${newStreams}-${index % 1000}`, [event]))
    let newStreams = 0
    await run({
      case: 'append',
      unit: 'events/s',
      larger: true,
      against: rawAppend.name,
      ours: () => {
        newStreams++
        return inFlightRate(jobs, 100, append)
      },
      base: () => rawAppend.run(jobs, 100),
    })
  }
  const samples = bench.quick ? 10 : 300
  for (const [percentile, share] of [
    ['p50', 0.5],
    ['p99', 0.99],
  ] as const) {
    await run({
      case: `latency-${percentile}`,
      unit: 'ms',
      larger: false,
      runs: 3,
      ours: async () => quantile(await latency(ours, samples), share),
      base: async () => quantile(await latency(bare, samples), share),
    })
  }
  const memory = await open(dev)
  await run({
    case: 'latency-p50-of-memory',
    unit: 'ms',
    larger: false,
    runs: 3,
    against: 'this preset',
    ours: async () => quantile(await latency(ourLibrary('nuxt-queue in memory', memory), bench.size(5000), 0), 0.5),
    base: async () => quantile(await latency(ours, samples), 0.5),
  })
  await memory.close()
  await full.close()
}
