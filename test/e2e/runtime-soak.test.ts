import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createKernel } from 'nuxt-queue/kernel'
import { expect, test } from 'vitest'
import dev from '../../presets/dev.ts'
import { childrenOf } from './process-tree.ts'

const FIXTURES = join(import.meta.dirname, '../fixtures/runtime/faults')

// The collector is not at hand in a test, and without it garbage would count.
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** What this process holds, after what is garbage is gone. */
async function holdings() {
  collect()
  return {
    descriptors: readdirSync('/proc/self/fd').length,
    processes: (await childrenOf(process.pid)).length,
    heap: process.memoryUsage().heapUsed,
  }
}

test.each([
  { name: 'isolated Node', runtime: 'node-isolated', file: 'faults.ts' },
  { name: 'Python', runtime: 'python', file: 'faults.py' },
])('10,000 jobs in $name leave nothing behind: no process, no descriptor, no memory', async ({ runtime, file }) => {
  const retention = { completed: { count: 0 }, sweepEvery: 100 }
  await using kernel = await open()
  async function open() {
    const made = await createKernel({ preset: dev, config: { registry: { dirs: [] }, retention } })
    return Object.assign(made, { [Symbol.asyncDispose]: async () => void (await made.close()) })
  }
  const config = { runtime, concurrency: 2, queue: 'soak', process: { reuse: 200 } }
  await kernel.registerWorker({ id: 'soak', absPath: join(FIXTURES, file), config })
  await kernel.start()

  /** Answers how many processes it took. */
  async function run(jobs: number): Promise<number> {
    const pids = new Set<unknown>()
    for (let done = 0; done < jobs; done += 500) {
      const some = await kernel.enqueueMany(Array.from({ length: 500 }, () => ({ worker: 'soak', data: 'pid' })))
      for (const pid of await Promise.all(some.map((job) => kernel.result(job)))) pids.add(pid)
    }
    return pids.size
  }

  await run(1000)
  const before = await holdings()
  const processes = await run(9000)
  const after = await holdings()
  expect(processes).toBeGreaterThanOrEqual(45)
  expect(after.descriptors).toBeLessThanOrEqual(before.descriptors + 15)
  expect(after.processes).toBeLessThanOrEqual(4)
  // Without a collector at hand garbage counts too, and still it does not grow with the jobs.
  expect(after.heap - before.heap).toBeLessThan(64 * 1024 * 1024)
})
