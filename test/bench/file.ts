import { closeSync, fdatasync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import fastq from 'fastq'
import { createKernel, type Kernel } from 'nuxt-queue'
import { devFile } from 'nuxt-queue/presets'
import { join } from 'pathe'
import { benchAdapter, type BareLibrary } from './adapters.ts'
import type { Bench } from './harness.ts'
import { ORDER, total, type Order } from './payload.ts'

/** Appends lines to a file, with one sync for all lines that arrive during the previous sync. */
function groupCommit(path: string) {
  const file = openSync(path, 'a')
  let [lines, next, syncing] = ['', Promise.withResolvers<void>(), false]

  function sync(): void {
    if (syncing || lines === '') return
    syncing = true
    setImmediate(() => {
      const batch = next
      next = Promise.withResolvers<void>()
      writeSync(file, lines)
      lines = ''
      fdatasync(file, () => {
        syncing = false
        batch.resolve()
        sync()
      })
    })
  }
  return {
    append(line: string): Promise<void> {
      lines += line
      const { promise } = next
      sync()
      return promise
    },
    close: () => closeSync(file),
  }
}

/** fastq with a line on disk for each added and each completed job: the minimum with which jobs survive a crash. */
function fastqWithLines(folder: string): BareLibrary & { close(): void } {
  const log = groupCommit(join(folder, 'bare.jsonl'))
  const waiting = new Map<string, Order[]>()
  const consumers = new Map<string, (order: Order) => void>()
  let ids = 0

  function push(queue: string, line: string): void {
    const order = JSON.parse(line) as Order
    const consumer = consumers.get(queue)
    if (consumer) consumer(order)
    else waiting.set(queue, [...(waiting.get(queue) ?? []), order])
  }
  async function add(queue: string): Promise<void> {
    const line = JSON.stringify(ORDER)
    await log.append(`{"id":${++ids},"queue":"${queue}","data":${line}}\n`)
    push(queue, line)
  }

  return {
    name: 'fastq with a line a job',
    async bulk(queue, jobs) {
      const line = JSON.stringify(ORDER)
      waiting.set(
        queue,
        Array.from({ length: jobs }, () => JSON.parse(line) as Order),
      )
      await log.append(`{"queue":"${queue}","data":${line}}\n`.repeat(jobs))
    },
    add,
    async work(queue, concurrency, onJob) {
      const handler = async (order: Order): Promise<void> => {
        total(order)
        onJob()
        await log.append(`{"id":${ids},"done":true}\n`)
      }
      const tasks = fastq.promise(handler, concurrency)
      consumers.set(queue, (order) => void tasks.push(order))
      for (const order of waiting.get(queue) ?? []) void tasks.push(order)
      waiting.delete(queue)
      return async () => void consumers.delete(queue)
    },
    close: log.close,
  }
}

const IN_FLIGHT = 100

function open(dir: string): Promise<Kernel> {
  return createKernel({ preset: 'dev-file', config: { file: { path: dir }, registry: { dirs: [] } } })
}

/** Measures producers and workers at once, from the call of enqueue to the end of the last job. Each job is acknowledged. */
async function endToEnd(library: BareLibrary, queue: string, jobs: number): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<void>()
  let [left, next] = [jobs, 0]
  const stop = await library.work(queue, IN_FLIGHT, () => void (--left === 0 && resolve()))
  const began = performance.now()
  const lane = async (): Promise<void> => {
    while (next++ < jobs) await library.add(queue)
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane))
  await promise
  const rate = jobs / ((performance.now() - began) / 1000)
  await stop()
  return rate
}

function kernelLibrary(kernel: Kernel): BareLibrary {
  return {
    name: 'nuxt-queue',
    bulk: () => Promise.reject(new Error('not measured here')),
    add: (queue) => kernel.enqueue({ queue, name: 'order' }, ORDER),
    async work(queue, concurrency, onJob) {
      const handler = async (): Promise<void> => onJob()
      await kernel.registerWorker({ id: queue, config: { queue, name: 'order', concurrency }, handler })
      return () => kernel.unregisterWorker(queue)
    },
  }
}

/** Measures the milliseconds until a folder with 100,000 waiting jobs is open again. */
async function reopening(dir: string): Promise<number> {
  const began = performance.now()
  const kernel = await open(dir)
  const took = performance.now() - began
  await kernel.close()
  return took
}

export default async function bench(bench: Bench): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'nuxt-queue-bench-'))
  const bare = fastqWithLines(folder)
  let folders = 0
  try {
    await benchAdapter(bench, {
      preset: devFile,
      events: 'events-file',
      config: () => ({ file: { path: join(folder, String(++folders)) } }),
      bare,
    })
    const kernel = await open(join(folder, 'end-to-end'))
    await kernel.start()
    let queues = 0
    const jobs = bench.size(50_000)
    const about = { unit: 'jobs/s', larger: true, runs: 5, against: bare.name } as const
    const ours = (): Promise<number> => endToEnd(kernelLibrary(kernel), `q${++queues}`, jobs)
    const base = (): Promise<number> => endToEnd(bare, `q${++queues}`, jobs)
    await bench.compare({ ...about, case: 'end-to-end', ours, base })
    await kernel.close()

    const [full, empty] = [join(folder, 'full'), join(folder, 'empty')]
    const filling = await open(full)
    for (let n = 0; n < 100; n++) {
      await filling.enqueueMany(
        Array.from({ length: 1000 }, () => ({ worker: { queue: 'q', name: 'order' }, data: ORDER })),
      )
    }
    await filling.close()
    await (await open(empty)).close()
    const reopen = { case: 'reopen-100k-waiting', unit: 'ms', larger: false, runs: 3, against: 'an empty folder' }
    await bench.compare({ ...reopen, ours: () => reopening(full), base: () => reopening(empty) })
  } finally {
    bare.close()
    rmSync(folder, { recursive: true, force: true })
  }
}
