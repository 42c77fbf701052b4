import { fileURLToPath } from 'node:url'
import { createKernel, type Kernel, type KernelConfig } from 'nuxt-queue'
import { startBareChild } from './bare-child.ts'
import { median, perSecond, type Bench } from './harness.ts'

/** A payload of a usual size. */
const DATA = { to: 'ada@example.com', subject: 'Hello', text: 'x'.repeat(400) }
const RUNS = 5
/** Two cores, so two children at a time. */
const CONCURRENCY = 2

const file = (name: string): string => fileURLToPath(new URL(`../fixtures/runtime/bench/${name}`, import.meta.url))

interface Language {
  name: 'node' | 'python'
  runtime: string
  section: string
  worker: string
  bare: [command: string, ...args: string[]]
}

interface Rig extends AsyncDisposable {
  kernel: Kernel
  /** Runs one job in a child, or in process, to its end. */
  run(worker: 'child' | 'inline', data?: unknown): Promise<unknown>
}

async function open({ runtime, section, worker }: Language, options: object): Promise<Rig> {
  const config: KernelConfig = { registry: { dirs: [] }, [section]: { maxChildren: 16, ...options } }
  const kernel = await createKernel({ preset: 'dev', config })
  const concurrency = CONCURRENCY
  await kernel.registerWorker({ id: 'child', absPath: file(worker), config: { runtime, concurrency, queue: 'child' } })
  await kernel.registerWorker({
    id: 'inline',
    config: { concurrency, queue: 'inline' },
    handler: (job) => job.data,
  })
  await kernel.start()
  return {
    kernel,
    run: async (id, data = DATA) => kernel.result(await kernel.enqueue(id, data)),
    [Symbol.asyncDispose]: async () => void (await kernel.close()),
  }
}

/** Milliseconds of one call after the other, the median. */
async function latency(calls: number, call: () => Promise<unknown>, rest?: () => Promise<unknown>): Promise<number> {
  const times: number[] = []
  for (let index = 0; index < calls; index++) {
    await rest?.()
    const began = performance.now()
    await call()
    times.push(performance.now() - began)
  }
  return median(times)
}

/** Calls a second, `CONCURRENCY` at a time. */
async function rate(calls: number, call: () => Promise<unknown>): Promise<number> {
  let left = calls
  const lane = async (): Promise<void> => {
    while (left-- > 0) await call()
  }
  const began = performance.now()
  await Promise.all(Array.from({ length: CONCURRENCY }, lane))
  return perSecond(calls, began)
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms))

export default async function runtimes(bench: Bench): Promise<void> {
  const python = await pythonPath()
  const languages: Language[] = [
    {
      name: 'node',
      runtime: 'node-isolated',
      section: 'isolated',
      worker: 'echo.ts',
      bare: [process.execPath, file('bare.mjs')],
    },
    { name: 'python', runtime: 'python', section: 'python', worker: 'echo.py', bare: [python, file('bare.py')] },
  ]
  for (const language of languages) {
    for (const measure of [fresh, forked, spare, reused]) await measure(language, bench)
  }
  await contextCalls(languages[0]!, bench)
}

async function bareJob([command, ...args]: Language['bare']): Promise<void> {
  const child = startBareChild(command, args)
  await child.roundTrip(DATA)
  await child.close()
}

/** Measures one process for each job, started when the job arrives, compared with a bare child. */
async function fresh(language: Language, bench: Bench): Promise<void> {
  const { name, bare } = language
  await using rig = await open(language, { spare: 0 })
  const against = 'a bare child started for it'
  const jobs = bench.quick ? 6 : 20
  const ours = (): Promise<number> => rate(jobs, () => rig.run('child'))
  const base = (): Promise<number> => rate(jobs, () => bareJob(bare))
  await bench.compare({ case: `${name}-fresh`, unit: 'jobs/s', larger: true, runs: RUNS, against, ours, base })
}

/** Measures one process for each job, forked when the job arrives, compared with a bare child that is started for it. */
async function forked({ name, runtime, bare, section, worker }: Language, bench: Bench): Promise<void> {
  if (name !== 'python') return
  for (const prefork of [true, 'worker']) {
    await using rig = await open({ name, runtime, bare, section, worker }, { spare: 0, prefork })
    const jobs = bench.quick ? 20 : 100
    await bench.compare({
      ...{
        case: prefork === true ? 'python-forked' : 'python-forked-worker',
        unit: 'jobs/s',
        larger: true,
        runs: RUNS,
      },
      against: 'a bare child started for it',
      ours: () => rate(jobs, () => rig.run('child')),
      base: () => rate(Math.ceil(jobs / 5), () => bareJob(bare)),
    })
  }
}

/** Measures one process for each job, started in advance, so that its start does not count. */
async function spare(language: Language, bench: Bench): Promise<void> {
  const { name, bare } = language
  await using rig = await open(language, { spare: 1 })
  await rig.run('child')
  const child = startBareChild(bare[0], bare.slice(1))
  const rest = (): Promise<void> => pause(name === 'node' ? 250 : 150)
  const calls = bench.quick ? 4 : 15
  await bench.compare({
    case: `${name}-spare`,
    unit: 'ms',
    larger: false,
    runs: RUNS,
    against: 'a round trip to a bare child that waits',
    ours: () => latency(calls, () => rig.run('child'), rest),
    base: () => latency(calls, () => child.roundTrip(DATA), rest),
  })
  await child.close()
}

/** Measures the overhead of a reused child, compared with the round trip through a bare pipe. */
async function reused(language: Language, bench: Bench): Promise<void> {
  const { name, bare } = language
  await using rig = await open(language, { reuse: 1_000_000 })
  const child = startBareChild(bare[0], bare.slice(1))
  const against = 'a round trip through a bare pipe'
  const calls = bench.size(2000)
  const ours = async (): Promise<number> => {
    const inProcess = await latency(calls, () => rig.run('inline'))
    return (
      (await latency(
        calls,
        () => rig.run('child'),
        () => rig.run('inline'),
      )) - inProcess
    )
  }
  // In both cases, the child sleeps at first, as it does between two jobs.
  const base = (): Promise<number> =>
    latency(
      calls,
      () => child.roundTrip(DATA),
      () => rig.run('inline'),
    )
  await bench.compare({
    case: `${name}-reused`,
    unit: 'ms added',
    larger: false,
    runs: RUNS,
    against,
    ours,
    base,
  })
  const both = (): Promise<number> => rate(calls, () => rig.run('child'))
  const bareRate = (): Promise<number> => rate(calls, () => child.roundTrip(DATA))
  await bench.compare({
    case: `${name}-reused-rate`,
    unit: 'jobs/s',
    larger: true,
    runs: RUNS,
    against: 'one bare child',
    ours: both,
    base: bareRate,
  })
  await child.close()
}

/** Round trips of `ctx.state.get`, against as many through a bare pipe. */
async function contextCalls(language: Language, bench: Bench): Promise<void> {
  await using rig = await open(language, { reuse: 1_000_000 })
  const child = startBareChild(language.bare[0], language.bare.slice(1))
  for (const inFlight of [1, 32]) {
    const calls = bench.size(10_000)
    const ours = async (): Promise<number> => calls / (((await rig.run('child', { calls, inFlight })) as number) / 1000)
    const base = async (): Promise<number> => {
      let left = calls
      const lane = async (): Promise<void> => {
        while (left-- > 0) await child.roundTrip({ execution: 2, key: 'key' })
      }
      const began = performance.now()
      await Promise.all(Array.from({ length: inFlight }, lane))
      return perSecond(calls, began)
    }
    await bench.compare({
      case: inFlight === 1 ? 'context-call' : `context-call-${inFlight}`,
      unit: 'calls/s',
      larger: true,
      runs: RUNS,
      against: 'a bare pipe',
      ours,
      base,
    })
  }
  await child.close()
}

/** Returns the path of the interpreter itself, not of the shim of a version manager. */
async function pythonPath(): Promise<string> {
  const { execFileSync } = await import('node:child_process')
  return execFileSync('python3', ['-c', 'import sys; print(sys.executable)'], { encoding: 'utf8' }).trim()
}
