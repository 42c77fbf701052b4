import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createKernel, type EnqueueOptions, type Kernel, type KernelConfig } from 'nuxt-queue/kernel'
import dev from '../../presets/dev.ts'
import { COMPILED } from '../fixtures/runtime/compiled.ts'
import { LONG } from '../services/long.ts'
import { ROOT, startNode } from './processes.ts'
import { childrenOf, gone, isAlive } from './process-tree.ts'

const FIXTURES = join(import.meta.dirname, '../fixtures/runtime/faults')
/** How many jobs are queued at once, and how many a process runs. */
const [CROWD, REUSE] = [LONG ? 200 : 80, 10]
const PARENT = join(import.meta.dirname, '../fixtures/runtime/parent.ts')

interface Language {
  name: string
  runtime: string
  file: string
  /** The messages for the same fault in each language. */
  says: { thrown: string; segfault: RegExp; memory: RegExp; unserialisable: RegExp }
  config?: KernelConfig
}

const PYTHON: Language = {
  name: 'Python',
  runtime: 'python',
  file: 'faults.py',
  says: {
    thrown: 'IndexError',
    segfault: /signal SIGSEGV.*native code.*about to crash/s,
    memory: /MemoryError/,
    unserialisable: /function at "result\.value\.call"/,
  },
}

const FORKED: Language = { ...PYTHON, name: 'forked Python', config: { python: { prefork: 'worker' } } }

const LANGUAGES: Language[] = [
  {
    name: 'isolated Node',
    runtime: 'node-isolated',
    file: 'faults.ts',
    says: {
      thrown: 'RangeError',
      segfault: /signal SIGSEGV.*native code.*about to crash/s,
      memory: /signal SIGABRT.*heap/s,
      unserialisable: /function/,
    },
    config: { isolated: { env: COMPILED, resourceLimits: { maxOldGenerationSizeMb: 128 } } },
  },
  PYTHON,
  ...(LONG ? [FORKED] : []),
]

describe.each(LANGUAGES)('$name', ({ runtime, file, says, config }) => {
  let kernel: Kernel

  beforeAll(async () => {
    kernel = await createKernel({
      preset: dev,
      config: { registry: { dirs: [] }, retention: { sweepInterval: 0 }, ...config },
    })
    const process = { cancelGrace: 100, killGrace: 100 }
    const absPath = join(FIXTURES, file)
    await kernel.registerWorker({
      id: 'faults',
      absPath,
      config: { runtime, process, concurrency: 2, queue: 'faults' },
    })
    await kernel.registerWorker({
      id: 'reused',
      absPath,
      config: { runtime, process: { ...process, reuse: 100 }, queue: 'reused' },
    })
    await kernel.start()
  })
  afterAll(() => kernel.close({ timeout: 0 }))

  /** Runs a job to its end, and checks that the next job is not affected. */
  async function outcome(what: string, options?: EnqueueOptions) {
    const job = await kernel.enqueue('faults', what, options)
    const settled = await kernel.result(job).then(
      (result) => ({ result, error: undefined }),
      (error: unknown) => ({ result: undefined, error: error as Error & { code?: string; cause?: unknown } }),
    )
    expect(await kernel.result(await kernel.enqueue('faults', 'pid'))).toEqual(expect.any(Number))
    const events = await kernel.port('events').read(job.runId)
    const logs = events.filter(({ type }) => type === 'runner.log').map(({ data }) => data as { message: string })
    return { ...settled, logs, end: events.find(({ type }) => /^step\.(?:completed|failed)$/.test(type)), job }
  }

  /** Waits until the handler of a job runs, and returns its process. */
  async function atWork(what: string) {
    const runId = crypto.randomUUID()
    const working = Promise.withResolvers<number>()
    const onMessage = ({ data }: { data?: unknown }): void =>
      working.resolve(Number((data as { message: string }).message))
    await kernel.port('events').subscribe(runId, { onMessage }, () => {})
    const job = await kernel.enqueue('faults', what, { runId })
    return { job, pid: await working.promise }
  }

  test.each([
    ['throw', 'out of order'],
    ['reject', 'later'],
  ])('%s: the error comes back with its name and the stack of the child', async (what, message) => {
    const { error, end } = await outcome(what)
    expect(error).toMatchObject({ message })
    const stored = (end!.data as { error: { name: string; stack: string } }).error
    expect(stored.name).toBe(says.thrown)
    expect(stored.stack).toContain(file)
  })

  test('a process that exits in the middle of its job fails the attempt', async () => {
    const { error } = await outcome('exit')
    expect(error).toMatchObject({ code: 'RUNTIME_EXITED', message: expect.stringContaining('exit code 0') as string })
  })

  test('a crash reports its signal and the end of stderr', async () => {
    const { error, logs } = await outcome('segfault')
    expect(error).toMatchObject({ code: 'RUNTIME_EXITED', message: expect.stringMatching(says.segfault) as string })
    expect(logs).toMatchObject([{ message: 'about to crash', level: 'warn', meta: { stream: 'stderr' } }])
  })

  test('out of memory fails the attempt', async () => {
    const { error } = await outcome('memory')
    expect(error?.message).toMatch(says.memory)
  })

  test('a busy loop ends with its timeout, and its process is killed', async () => {
    // A waiting process exists before the timeout of the job begins.
    const pid = (await kernel.result(await kernel.enqueue('reused', 'pid'))) as number
    const job = await kernel.enqueue('reused', 'loop', { timeout: 300 })
    await expect(kernel.result(job)).rejects.toMatchObject({ code: 'JOB_TIMEOUT' })
    await gone(pid)
  })

  test.each(['loop', 'stubborn'])(
    '%s: the process of a cancelled job that ignores its signal is killed',
    async (what) => {
      const { job, pid } = await atWork(what)
      expect(await kernel.cancel(job)).toBe(true)
      await expect(kernel.result(job)).rejects.toMatchObject({ code: 'JOB_CANCELLED' })
      await gone(pid)
      expect(await kernel.result(await kernel.enqueue('faults', 'pid'))).toEqual(expect.any(Number))
    },
  )

  test('a grandchild is killed with its group', async () => {
    const { result } = await outcome('grandchild')
    await gone(result as number)
  })

  test('10 MB of output without a newline are truncated, without an effect on other jobs', async () => {
    const { result, logs } = await outcome('noise')
    expect(result).toBe('done')
    expect(logs).toHaveLength(1)
    expect(logs[0]!.message).toMatch(/^x{16384}… \(\d+ more bytes\)$/)
  })

  test('binary rubbish and forged frames on stdout are log lines', async () => {
    const { result, logs } = await outcome('rubbish')
    expect(result).toBe('done')
    expect(logs.length).toBeGreaterThanOrEqual(3)
    expect(logs.at(-1)!.message).toContain('forged')
  })

  test('a result that is too large fails the attempt', async () => {
    const { error } = await outcome('huge')
    expect(error).toMatchObject({ code: 'PAYLOAD_TOO_LARGE' })
  })

  test('a result that cannot be serialized fails the attempt', async () => {
    const { error } = await outcome('function')
    expect(error).toMatchObject({
      code: 'VALUE_UNSUPPORTED',
      message: expect.stringMatching(says.unserialisable) as string,
    })
  })

  test('text of every kind, odd numbers and 64-bit integers come back unchanged', async () => {
    const { result } = await outcome('values')
    expect(result).toEqual({
      text: '😀 \ud83d \u0000',
      odd: [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
      big: 9223372036854775807n,
      small: -9223372036854775808n,
    })
  })

  test('the event that ends a step has the resource usage of its process', async () => {
    const { end } = await outcome('slow')
    const { process: used } = end!.data as { process: { pid: number; maxRss: number; cpu: number } }
    expect(used.pid).toBeGreaterThan(1)
    expect(used.maxRss).toBeGreaterThan(1024 * 1024)
    expect(used.cpu).toBeGreaterThan(0)
  })

  test('a reused process runs at most the configured number of jobs', async () => {
    const jobs = await kernel.enqueueMany(Array.from({ length: 150 }, () => ({ worker: 'reused', data: 'pid' })))
    const pids = await Promise.all(jobs.map((job) => kernel.result(job)))
    expect(new Set(pids.slice(0, 100)).size).toBe(1)
    expect(new Set(pids).size).toBe(2)
  })

  test(`${CROWD} jobs at once share at most 8 processes`, async () => {
    const others = new Set(await childrenOf(process.pid))
    await using busy = await createCrowd()
    const jobs = await busy.kernel.enqueueMany(Array.from({ length: CROWD }, () => ({ worker: 'crowd', data: 'slow' })))
    const counts: number[] = []
    const look = async (): Promise<void> => {
      counts.push((await childrenOf(process.pid)).filter((pid) => !others.has(pid)).length)
    }
    const looking = setInterval(() => void look(), 20)
    const pids = await Promise.all(jobs.map((job) => busy.kernel.result(job)))
    clearInterval(looking)
    expect(new Set(pids).size).toBeGreaterThanOrEqual(CROWD / REUSE)
    // One more is the shell that kills remaining processes.
    expect(Math.max(...counts)).toBeLessThanOrEqual(8 + 1)
    await busy.kernel.close()
    expect(await Promise.all(pids.map((pid) => isAlive(pid as number)))).not.toContain(true)
  })

  test('no process is left two seconds after the application is killed', async () => {
    await using parent = startNode([PARENT, runtime, join(FIXTURES, file)], ROOT)
    const [, pids] = await parent.until(/at work: ([\d ]+)\n/)
    const all = pids!.split(' ').map(Number)
    expect(await Promise.all(all.map(isAlive))).toEqual([true, true, true, true])
    const spares = await childrenOf(parent.pid)
    parent.kill('SIGKILL')
    await Promise.all([...all, ...spares].map((pid) => gone(pid, 2000)))
  })

  async function createCrowd() {
    const section = runtime === 'python' ? 'python' : 'isolated'
    const crowd = await createKernel({
      preset: dev,
      config: { registry: { dirs: [] }, [section]: { env: COMPILED, maxChildren: 8, reuse: REUSE } },
    })
    const crowdConfig = { runtime, concurrency: CROWD, queue: 'crowd' }
    await crowd.registerWorker({ id: 'crowd', absPath: join(FIXTURES, file), config: crowdConfig })
    await crowd.start()
    return { kernel: crowd, [Symbol.asyncDispose]: async () => void (await crowd.close()) }
  }
})
