import { expect, it } from 'vitest'
import { createKernel, definePlugin, type Kernel } from '../../../kernel/index.ts'
import { exportStore, type CopyableStore } from '../../../plugins/integrations/lib/backup/export.ts'
import { importStore, isEmptyStore } from '../../../plugins/integrations/lib/backup/import.ts'
import { jobChecksum } from '../../../plugins/integrations/lib/backup/checksum.ts'
import { decodeCopyLine, encodeCopyLine, type CopyLine } from '../../../plugins/integrations/lib/backup/lines.ts'
import memory from '../../../presets/test.ts'
import { reachState } from '../time.ts'
import type { PresetTest, Worker } from './rig.ts'

const storeOf = (kernel: Kernel): CopyableStore => ({
  events: kernel.port('eventCopies'),
  jobs: kernel.port('jobCopies'),
})

/** Exports a store as the text of a file. */
async function exported(kernel: Kernel): Promise<string[]> {
  const texts: string[] = []
  for await (const line of exportStore(storeOf(kernel))) texts.push(encodeCopyLine(line))
  return texts
}

async function* decoded(texts: readonly string[]): AsyncGenerator<CopyLine, void> {
  for (const text of texts) yield decodeCopyLine(text, 'export')
}

/** Returns the checksum of each stream and job, in any order. */
function checksums(texts: readonly string[]): string[] {
  const lines = texts.map((text) => decodeCopyLine(text, 'export'))
  return lines
    .flatMap((line) => {
      if ('end' in line) return [`${line.end.stream} ${line.checksum}`]
      return 'job' in line ? [`${line.job.queue} ${line.job.id} ${jobChecksum(line.job)}`] : []
    })
    .toSorted()
}

/** Tests that everything in a store can be moved to another kind of store and back. */
export function backupTests(test: PresetTest): void {
  it(
    'reads all jobs of a queue in pages in the order of their arrival, and many jobs by their ids',
    test(async ({ kernel }) => {
      const worker = { queue: 'page', name: 'page' }
      const ids = Array.from({ length: 1203 }, (_, n) => `job-${n}`)
      const [early, late] = [ids.slice(0, 1202), ids.slice(1202)]
      await kernel.enqueueMany(early.map((id) => ({ worker, data: id, options: { id } })))
      for (const id of late) await kernel.enqueue(worker, id, { id, delay: 3_600_000 })
      const jobs = kernel.port('jobCopies')
      const pages: string[][] = []
      for await (const page of jobs.jobs('page', ['active', 'waiting', 'delayed'])) pages.push(page.map(({ id }) => id))
      expect(pages.flat()).toEqual(ids)
      expect(pages.length).toBeGreaterThan(1)
      const some = await jobs.getMany('page', ['job-7', 'nobody', 'job-1202', 'job-7'])
      expect(new Set(some.map(({ id, state }) => `${id} ${state}`))).toEqual(
        new Set(['job-7 waiting', 'job-1202 delayed']),
      )
      expect(await jobs.getMany('nobody', ['job-7'])).toEqual([])
    }),
  )

  it(
    'imports everything that another kind of store exports, and carries it on',
    test(async ({ kernel, start, reach, until, ...time }) => {
      const ran: unknown[] = []
      const workers: Record<string, Worker> = {
        good: ({ data }) => ({ doubled: [data, data], when: new Date(0) }),
        again: [
          { attempts: 2, backoff: 3_600_000 },
          ({ attempt }) => {
            if (attempt === 1) throw new Error('boom')
            return attempt
          },
        ],
        order: (_job, { step }) => step.waitForEvent('paid', { event: 'paid', key: '7' }),
        later: ({ data }) => void ran.push(data),
      }
      const clock = definePlugin({
        name: 'same-clock',
        enforce: 'pre',
        setup: (source) => source.provide('clock', kernel.clock),
      })
      await using kernels = new AsyncDisposableStack()
      const create = async (): Promise<Kernel> =>
        kernels.adopt(await createKernel({ preset: memory, plugins: [clock] }), (one) => void one.close({ timeout: 0 }))
      const source = await create()
      const copy = await create()
      for (const [id, worker] of Object.entries(workers)) {
        const [config, handler] = Array.isArray(worker) ? worker : [{}, worker]
        await source.registerWorker({ id, config: { queue: id, ...config }, handler })
      }
      await source.port('queue').pause('later')
      await source.start()
      const sourceReach = (queue: string, id: string, state: Parameters<typeof reachState>[3]) =>
        reachState({ ...time, until }, source.port('queue'), { queue, id }, state)
      const good = await source.enqueue('good', 2n, { id: 'chosen', tags: ['customer:7'], headers: { tenant: 'acme' } })
      const again = await source.enqueue('again', { z: 1, a: undefined })
      const order = await source.enqueue('order')
      for (const data of [1, 2, 3]) await source.enqueue('later', data)
      await source.enqueue('later', 4, { delay: 50, priority: 1 })
      await sourceReach('good', good.id, 'completed')
      await sourceReach('again', again.id, 'delayed')
      await sourceReach('order', order.id, 'delayed')

      const texts = await exported(source)
      expect(await isEmptyStore(storeOf(kernel))).toBe(true)
      const report = await importStore(decoded(texts), storeOf(kernel))
      expect(report).toMatchObject({ jobs: expect.any(Number), kept: { jobs: 0, streams: 0 } })
      // Killed and repeated, it changes nothing.
      expect(await importStore(decoded(texts), storeOf(kernel))).toMatchObject({
        jobs: 0,
        events: 0,
        kept: { jobs: report.jobs },
      })
      const own = await exported(kernel)
      expect(checksums(own)).toEqual(checksums(texts))
      await importStore(decoded(own), storeOf(copy))
      expect(checksums(await exported(copy))).toEqual(checksums(texts))

      expect(await kernel.port('queue').isPaused('later')).toBe(true)
      await start(workers)
      expect(await kernel.enqueue('good', 3, { id: 'chosen' })).toMatchObject({ deduplicated: true, runId: good.runId })
      await kernel.port('queue').resume('later')
      await until('the jobs of the paused queue have run', () => ran.length === 4)
      expect(ran.filter((data) => data !== 4)).toEqual([1, 2, 3])
      await kernel.sendEvent('paid', { amount: 5 }, { key: '7' })
      expect((await reach(order, 'completed')).result).toEqual({ amount: 5 })
      await kernel.port('queue').promote('again', again.id)
      expect((await reach(again, 'completed')).result).toBe(2)
    }),
  )
}
