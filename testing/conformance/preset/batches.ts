import { expect, it } from 'vitest'
import { z } from 'zod'
import {
  defineWorkerConfig,
  defineQueueWorker,
  useRunContext,
  type EnqueuedJob,
  type EnqueueResult,
} from '../../../kernel/index.ts'
import type { Batch } from '../../../plugins/jobs/batch/index.ts'
import { codeOf } from '../harness.ts'
import type { Handler, PresetTest } from './rig.ts'

/** Longer than any test, so that a batch runs only when it is full or is forced to. */
const LONG = 60_000

/** Tests handlers that receive many jobs at once. */
export function batchTests(test: PresetTest): void {
  it(
    'passes several jobs to a handler, and gives each its own result and history',
    test(async ({ kernel, start, reach, types }) => {
      const seen: unknown[] = []
      const config = defineWorkerConfig({ queue: 'w', batch: { size: 3, wait: LONG } })
      const handler = defineQueueWorker<typeof config>(({ data }, ctx) => {
        seen.push([data, ctx.batch.map(({ id }) => id), useRunContext().runId === ctx.batch[0]?.runId])
        return data.map((one) => `${String(one)}!`)
      })
      await start({ w: [config, handler as Handler] })
      const jobs: EnqueuedJob[] = []
      for (const data of ['a', 'b', 'c']) jobs.push(await kernel.enqueue('w', data))
      for (const [index, job] of jobs.entries()) {
        await reach(job, 'completed')
        expect(await kernel.result(job)).toBe(`${'abc'[index]}!`)
        expect(await types(job.runId)).toEqual(['step.started', 'step.completed'])
        expect(await kernel.port('queue').getJob('w', job.id)).toMatchObject({ data: 'abc'[index], claims: 1 })
      }
      expect(seen).toHaveLength(1)
      const [data, ids, scoped] = seen[0] as [string[], string[], boolean]
      expect(data.toSorted((a, b) => a.localeCompare(b))).toEqual(['a', 'b', 'c'])
      expect(ids).toEqual(data.map((one) => jobs['abc'.indexOf(one)]!.id))
      expect(scoped).toBe(true)
    }),
  )

  it(
    'waits for other jobs no longer than configured',
    test(async ({ kernel, start, reach }) => {
      const sizes: number[] = []
      await start({
        w: [
          { queue: 'w', batch: { size: 10, wait: 300 } },
          ({ data }) => {
            sizes.push((data as unknown[]).length)
            return data
          },
        ],
      })
      const jobs = await kernel.enqueueMany([1, 2].map((data) => ({ worker: 'w', data })))
      for (const job of jobs) await reach(job, 'completed')
      expect(sizes).toEqual([2])
    }),
  )

  it(
    'groups jobs by key, and limits the batches that run at the same time',
    test(async ({ kernel, start, reach, until }) => {
      const gate = Promise.withResolvers<void>()
      const seen: string[][] = []
      let [running, most] = [0, 0]
      await start({
        w: [
          { queue: 'w', concurrency: 2, batch: { size: 2, wait: LONG, key: (data: string) => data[0]! } },
          async ({ data }) => {
            seen.push(data as string[])
            most = Math.max(most, ++running)
            await gate.promise
            running--
            return data
          },
        ],
      })
      const jobs: EnqueuedJob[] = []
      for (const data of ['a1', 'b1', 'a2', 'b2', 'c1', 'd1', 'c2', 'd2']) jobs.push(await kernel.enqueue('w', data))
      await until('two batches run', () => running === 2)
      gate.resolve()
      for (const job of jobs) await reach(job, 'completed')
      const sorted = seen.map((data) => data.toSorted((a, b) => a.localeCompare(b)).join(' '))
      expect(sorted.toSorted((a, b) => a.localeCompare(b))).toEqual(['a1 a2', 'b1 b2', 'c1 c2', 'd1 d2'])
      expect(most).toBe(2)
    }),
  )

  it(
    'fills a batch for each key, even if many keys are mixed',
    test(async ({ kernel, start, reach }) => {
      const seen: string[][] = []
      await start({
        w: [
          { queue: 'w', batch: { size: 4, wait: LONG, key: (data: string) => data[0]! } },
          ({ data }) => (seen.push(data as string[]), data),
        ],
      })
      const keys = ['a', 'b', 'c', 'd', 'e', 'f']
      const mixed = [1, 2, 3, 4].flatMap((n) => keys.map((key) => ({ worker: 'w', data: `${key}${n}` })))
      for (const job of await kernel.enqueueMany(mixed)) await reach(job, 'completed')
      expect(seen.map((data) => [data.length, new Set(data.map((one) => one[0])).size])).toEqual(keys.map(() => [4, 1]))
    }),
  )

  it(
    'fails all jobs when the handler throws, and retries each by its own attempts',
    test(async ({ kernel, start, reach, types }) => {
      let calls = 0
      await start({
        w: [
          { queue: 'w', batch: { size: 2, wait: 300 } },
          ({ data }) => {
            if (++calls === 1) throw new Error('all')
            return data
          },
        ],
      })
      const once = await kernel.enqueue('w', 1)
      const twice = await kernel.enqueue('w', 2, { attempts: 2 })
      expect((await reach(once, 'failed')).error).toMatchObject({ message: 'all' })
      await reach(twice, 'completed')
      expect(await kernel.result(twice)).toBe(2)
      expect(await types(twice.runId)).toEqual(['step.started', 'step.retry', 'step.started', 'step.completed'])
    }),
  )

  it(
    'fails or defers single jobs, whose data stays the same in every attempt',
    test(async ({ kernel, start, reach }) => {
      let calls = 0
      await start({
        w: [
          { queue: 'w', deadLetter: 'dead', batch: { size: 3, wait: 300 } },
          ({ data }, ctx) => {
            const first = ++calls === 1
            return (data as string[]).map((one) => {
              if (one === 'bad') return new Error('this one')
              return one === 'later' && first ? ctx.defer({ delay: 10 }) : one
            })
          },
        ],
      })
      const [bad, later, good] = await kernel.enqueueMany(
        ['bad', 'later', 'good'].map((data) => ({ worker: 'w', data })),
      )
      expect((await reach(bad!, 'failed')).error).toMatchObject({ message: 'this one' })
      expect(await reach(good!, 'completed')).toMatchObject({ claims: 1 })
      expect(await reach(later!, 'completed')).toMatchObject({ claims: 2, attemptsMade: 0 })
      expect(await kernel.result(later!)).toBe('later')
      const letters = await kernel.port('queue').getJobs({ queue: 'dead' })
      expect(letters).toMatchObject([{ data: { id: bad!.id, data: 'bad' } }])
    }),
  )

  it(
    'reports a handler that does not return one result for each job',
    test(async ({ kernel, start, reach }) => {
      await start({ w: [{ queue: 'w', batch: { size: 2, wait: LONG } }, () => ['only one']] })
      const jobs = await kernel.enqueueMany([1, 2].map((data) => ({ worker: 'w', data })))
      for (const job of jobs) expect((await reach(job, 'failed')).error).toMatchObject({ code: 'BATCH_RESULT' })
    }),
  )

  it(
    'validates the result of each job separately',
    test(async ({ kernel, start, reach }) => {
      await start({ w: [{ queue: 'w', output: z.string(), batch: { size: 2, wait: LONG } }, ({ data }) => data] })
      const [text, number] = await kernel.enqueueMany(['a', 1].map((data) => ({ worker: 'w', data })))
      await reach(text!, 'completed')
      expect((await reach(number!, 'failed')).error).toMatchObject({ code: 'VALIDATION_FAILED' })
    }),
  )

  it(
    'omits a job that is cancelled while it waits for its batch',
    test(async ({ kernel, start, reach }) => {
      const seen: unknown[] = []
      await start({ w: [{ queue: 'w', batch: { size: 3, wait: LONG } }, ({ data }) => (seen.push(data), data)] })
      const [gone, kept] = [await kernel.enqueue('w', 'gone'), await kernel.enqueue('w', 'kept')]
      await reach(gone, 'active')
      await reach(kept, 'active')
      expect(await kernel.cancel(gone)).toBe(true)
      await reach(gone, 'cancelled')
      const others = await kernel.enqueueMany(['more', 'even more'].map((data) => ({ worker: 'w', data })))
      for (const job of [kept, ...others]) await reach(job, 'completed')
      expect(seen).toHaveLength(1)
      expect(seen[0]).toEqual(expect.arrayContaining(['kept', 'more', 'even more']))
    }),
  )

  it(
    'runs the other jobs again when the job that leads the batch is cancelled',
    test(async ({ kernel, start, reach, until }) => {
      let first: EnqueueResult | undefined
      await start({
        w: [
          { queue: 'w', batch: { size: 2, wait: 300 } },
          async ({ data }, ctx) => {
            if (first) return data
            const { id, queue, name, runId } = ctx.batch![0]!
            first = { id, queue, name, runId, deduplicated: false }
            await new Promise((_resolve, reject) => {
              ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason as Error), { once: true })
            })
          },
        ],
      })
      const jobs = await kernel.enqueueMany([1, 2].map((data) => ({ worker: 'w', data })))
      const ran = await until('the handler runs', () => first)
      expect(await kernel.cancel(ran)).toBe(true)
      await reach(ran, 'cancelled')
      const other = jobs.find(({ id }) => id !== ran.id)!
      expect(await reach(other, 'completed')).toMatchObject({ attemptsMade: 0 })
    }),
  )

  it(
    'ends each job at its timeout',
    test(async ({ kernel, start, reach }) => {
      await start({ w: [{ queue: 'w', timeout: 50, batch: { size: 2, wait: 5 } }, () => new Promise(() => {})] })
      const jobs = await kernel.enqueueMany([1, 2].map((data) => ({ worker: 'w', data })))
      for (const job of jobs) expect((await reach(job, 'failed')).error).toMatchObject({ code: 'JOB_TIMEOUT' })
    }),
  )

  it(
    'runs incomplete batches when it closes, and waits for no more jobs',
    test(async ({ kernel, start, reach }) => {
      const seen: unknown[] = []
      await start({ w: [{ queue: 'w', batch: { size: 5, wait: LONG } }, ({ data }) => (seen.push(data), data)] })
      const jobs = await kernel.enqueueMany([1, 2].map((data) => ({ worker: 'w', data })))
      for (const job of jobs) await reach(job, 'active')
      expect(await kernel.close({ timeout: 30_000 })).toEqual({ aborted: [] })
      expect(seen).toEqual([[1, 2]])
    }),
  )

  it(
    'rejects a batch of a flow',
    test(async ({ kernel }) => {
      const config = { batch: { size: 2, wait: 5 }, flow: { name: 'f', role: 'entry' } } as const
      expect(await codeOf(() => kernel.registerWorker({ id: 'w', config, handler: () => [] }))).toBe('OPTION_INVALID')
    }),
  )

  it.each<object>([{ size: 0, wait: 5 }, { size: 2 }, { size: 2, wait: -1 }, { size: 2, wait: 1, max: 3 }])(
    'rejects %j as a batch',
    (batch) =>
      test(async ({ kernel }) => {
        const worker = { id: 'w', config: { batch: batch as Batch }, handler: () => [] }
        expect(await codeOf(() => kernel.registerWorker(worker))).toBe('OPTION_INVALID')
      })(),
  )
}
