import { expect, it } from 'vitest'
import type { EnqueuedJob } from '../../../kernel/index.ts'
import type { PresetTest } from './rig.ts'

/** Tests the jobs of one concurrency key, while jobs that run or wait die or are cancelled. */
export function permitTests(test: PresetTest): void {
  it(
    'follows the limit of a queue that another process sets, with workers in both processes',
    test(async ({ kernel, sibling, start, reach }) => {
      let running = 0
      let most = 0
      const handler = async (): Promise<void> => {
        most = Math.max(most, ++running)
        await new Promise((resolve) => setImmediate(resolve))
        running--
      }
      const other = await sibling()
      await other.queue('w').setLimits({ concurrency: 2 })
      await start({ w: [{ concurrency: 4 }, handler] })
      if (other !== kernel) await other.registerWorker({ id: 'w', config: { queue: 'w', concurrency: 4 }, handler })
      const jobs = await kernel.enqueueMany(Array.from({ length: 20 }, () => ({ worker: 'w' })))
      await Promise.all(jobs.map((job) => reach(job, 'completed')))
      expect(most).toBe(2)
      expect(await kernel.queue('w').limits()).toEqual({ concurrency: 2 })
    }),
  )

  it(
    'applies several limits of a worker together',
    test(async ({ kernel, start, reach }) => {
      const running: string[] = []
      let most = 0
      let mostOfKey = 0
      await start({
        w: [
          {
            concurrency: 9,
            limits: [
              { concurrency: 3 },
              { concurrency: 2, key: (tenant: string) => tenant },
              { rate: { limit: 1000, period: 1000 } },
            ],
          },
          async ({ data }) => {
            running.push(String(data))
            most = Math.max(most, running.length)
            mostOfKey = Math.max(mostOfKey, running.filter((tenant) => tenant === data).length)
            await new Promise((resolve) => setImmediate(resolve))
            running.splice(running.indexOf(String(data)), 1)
          },
        ],
      })
      const jobs = await kernel.enqueueMany('aaaaaabbbbcc'.split('').map((data) => ({ worker: 'w', data })))
      await Promise.all(jobs.map((job) => reach(job, 'completed')))
      expect(most).toBeLessThanOrEqual(3)
      expect(mostOfKey).toBeLessThanOrEqual(2)
    }),
  )

  it(
    'keeps the permit of a job as long as it runs',
    test(
      async ({ kernel, start, reach, elapse }) => {
        const gate = Promise.withResolvers<void>()
        const ran: unknown[] = []
        await start({
          w: [
            { queue: 'w', concurrency: 3 },
            async ({ data }) => {
              ran.push(data)
              if (data === 'long') await gate.promise
            },
          ],
        })
        const key = { concurrencyKey: 'k' }
        const long = await kernel.enqueue('w', 'long', key)
        await reach(long, 'active')
        await elapse(1500)
        const next = await kernel.enqueue('w', 'next', key)
        await reach(next, 'delayed')
        expect(ran).toEqual(['long'])
        gate.resolve()
        await reach(long, 'completed')
        await reach(next, 'completed')
        expect(ran).toEqual(['long', 'next'])
      },
      { limits: { placeTtl: 600 } },
    ),
  )

  it(
    'returns a job whose limits cannot be checked to the queue, and counts no attempt',
    test(async ({ kernel, start, reach, reports }) => {
      const limits = kernel.port('limits')
      const { acquire, take } = limits
      const broken = (): never => {
        throw new Error('Connection terminated unexpectedly')
      }
      limits.acquire = (...args) => {
        limits.acquire = acquire
        return args.length > 0 ? broken() : false
      }
      limits.take = (...args) => {
        limits.take = take
        return args.length > 0 ? broken() : 0
      }
      await start({ w: [{ queue: 'w', rateLimit: { max: 100, duration: 1000 } }, ({ attempt }) => attempt] })
      const keyed = await kernel.enqueue('w', 1, { concurrencyKey: 'k' })
      expect(await reach(keyed, 'completed')).toMatchObject({ attemptsMade: 0, result: 1 })
      const next = await kernel.enqueue('w', 2, { concurrencyKey: 'k' })
      expect(await reach(next, 'completed')).toMatchObject({ attemptsMade: 0 })
      expect(reports.filter(({ level }) => level === 'error')).toEqual([])
    }),
  )

  it(
    'completes a job whose permit cannot be released, and releases it later',
    test(async ({ kernel, start, reach }) => {
      const limits = kernel.port('limits')
      const { release } = limits
      limits.release = (...args) => {
        limits.release = release
        if (args.length > 0) throw new Error('Connection terminated unexpectedly')
        return []
      }
      await start({ w: [{ queue: 'w', concurrency: 2 }, ({ data }) => data] })
      const first = await kernel.enqueue('w', 'first', { concurrencyKey: 'k' })
      expect(await reach(first, 'completed')).toMatchObject({ attemptsMade: 0, result: 'first' })
      const second = await kernel.enqueue('w', 'second', { concurrencyKey: 'k' })
      expect(await reach(second, 'completed')).toMatchObject({ result: 'second' })
    }),
  )

  it(
    'counts the jobs of a key across the workers of a group',
    test(async ({ kernel, start, reach, until }) => {
      const gate = Promise.withResolvers<void>()
      const ran: unknown[] = []
      const handler = async ({ data }: { data: unknown }): Promise<void> => {
        ran.push(data)
        await gate.promise
      }
      await start({
        a: [{ queue: 'a', concurrency: 2, concurrencyGroup: 'tenants' }, handler],
        b: [{ queue: 'b', concurrency: 2, concurrencyGroup: 'tenants' }, handler],
        c: [{ queue: 'c', concurrency: 2 }, handler],
      })
      const key = { concurrencyKey: 'ada' }
      const first = await kernel.enqueue('a', 'a', key)
      await reach(first, 'active')
      const others: EnqueuedJob[] = [await kernel.enqueue('b', 'b', key), await kernel.enqueue('c', 'c', key)]
      await reach(others[0]!, 'delayed')
      // A job is active before its handler begins.
      await until('the job of the other group runs', () => ran.length === 2)
      expect(ran).toEqual(['a', 'c'])
      gate.resolve()
      for (const job of [first, ...others]) await reach(job, 'completed')
      expect(ran).toEqual(['a', 'c', 'b'])
    }),
  )

  it(
    'holds back only the jobs of the worker that has reached its rate limit',
    test(async ({ kernel, start, reach }) => {
      const ran: unknown[] = []
      const handler = ({ data }: { data: unknown }): void => void ran.push(data)
      await start({
        slow: [{ queue: 'w', rateLimit: { max: 1, duration: 600_000 } }, handler],
        free: [{ queue: 'w' }, handler],
      })
      const slow = await kernel.enqueueMany([1, 2, 3].map((data) => ({ worker: 'slow', data })))
      await reach(slow[0]!, 'completed')
      for (const job of slow.slice(1)) await reach(job, 'delayed')
      const free = await kernel.enqueue('free', 'free')
      await reach(free, 'completed')
      expect(ran).toEqual([1, 'free'])
    }),
  )
}
