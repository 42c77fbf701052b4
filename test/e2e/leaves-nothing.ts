import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createKernel } from 'nuxt-queue/kernel'
import { expect, test } from 'vitest'
import dev from '../../presets/dev.ts'
import { COMPILED } from '../fixtures/runtime/compiled.ts'
import { childrenOf } from './process-tree.ts'

const FIXTURES = join(import.meta.dirname, '../fixtures/runtime/faults')

// The collector is not at hand in a test, and without it garbage would count.
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** How many jobs a process runs, and how many are queued at once. */
const [REUSE, BATCH] = [100, 100]

/** The number of bytes per job that do not count as a leak. */
const LEAK = 5600

/** Returns the memory of this process after garbage collection. */
async function holdings() {
  collect()
  return {
    descriptors: readdirSync('/proc/self/fd').length,
    processes: (await childrenOf(process.pid)).length,
    heap: process.memoryUsage().heapUsed,
  }
}

/** Registers tests that run the given number of jobs, a multiple of 1000, and check that nothing remains. */
export function leavesNothingBehind(jobs: number): void {
  test.each([
    { name: 'isolated Node', runtime: 'node-isolated', file: 'faults.ts' },
    { name: 'Python', runtime: 'python', file: 'faults.py' },
  ])(`${jobs} jobs in $name leave nothing behind: no process, no descriptor, no memory`, async ({ runtime, file }) => {
    const retention = { completed: { count: 0 }, sweepEvery: 100 }
    await using kernel = await open()
    async function open() {
      const made = await createKernel({
        preset: dev,
        config: { registry: { dirs: [] }, retention, isolated: { env: COMPILED } },
      })
      return Object.assign(made, { [Symbol.asyncDispose]: async () => void (await made.close()) })
    }
    const config = { runtime, concurrency: 2, queue: 'soak', process: { reuse: REUSE } }
    await kernel.registerWorker({ id: 'soak', absPath: join(FIXTURES, file), config })
    await kernel.start()

    /** Returns the number of processes that were used. */
    async function run(count: number): Promise<number> {
      const pids = new Set<unknown>()
      for (let done = 0; done < count; done += BATCH) {
        const some = await kernel.enqueueMany(Array.from({ length: BATCH }, () => ({ worker: 'soak', data: 'pid' })))
        for (const pid of await Promise.all(some.map((job) => kernel.result(job)))) pids.add(pid)
      }
      return pids.size
    }

    await run(jobs / 10)
    const before = await holdings()
    const processes = await run(0.9 * jobs)
    expect(processes).toBeGreaterThanOrEqual((0.9 * jobs) / REUSE)
    // The last processes may still be ending.
    await expect.poll(async () => (await holdings()).processes).toBeLessThanOrEqual(4)
    await expect.poll(async () => (await holdings()).descriptors).toBeLessThanOrEqual(before.descriptors + 15)
    const { heap } = await holdings()
    expect(heap - before.heap).toBeLessThan(8 * 1024 * 1024 + jobs * LEAK)
  })
}
