import { expect, it } from 'vitest'
import type { QueueCapability } from '../../../kernel/index.ts'
import { codeOf } from '../harness.ts'
import { completed, type QueueTest } from './rig.ts'

const HOUR = 3_600_000

/** Tests the limits of a queue that are changed while its jobs run. */
export function queueLimitTests(test: QueueTest, capabilities: Readonly<Record<QueueCapability, boolean>>): void {
  const tests = { declared: withLimits, undeclared: withoutLimits }
  tests[capabilities.queueLimits ? 'declared' : 'undeclared'](test)
}

function withoutLimits(test: QueueTest): void {
  it(
    'refuses limits of queues, which it does not declare',
    test(async ({ kernel }) => {
      const app = await kernel([])
      expect(await codeOf(() => app.queue('q').setLimits({ concurrency: 1 }))).toBe('OPTION_UNSUPPORTED')
      expect(await codeOf(() => app.queue('q').limits())).toBe('OPTION_UNSUPPORTED')
    }),
  )
}

function withLimits(test: QueueTest): void {
  it(
    'runs at most as many jobs of a queue at once as its limit allows, and follows a change of the limit',
    test(async ({ queue, draft, work, until, reach }) => {
      await queue.setLimits!('q', { concurrency: 2 })
      const ids = ['a', 'b', 'c', 'd', 'e', 'f']
      await queue.enqueueMany(ids.map((id) => draft({ id, priority: id === 'f' ? 1 : 0 })))
      const gates = new Map(ids.map((id) => [id, Promise.withResolvers<void>()]))
      let running = 0
      let most = 0
      const claims = await work(
        async ({ job }) => {
          most = Math.max(most, ++running)
          await gates.get(job.id)!.promise
          running--
          return completed()
        },
        { concurrency: 5 },
      )
      const claimed = (count: number) => until(`${count} jobs are claimed`, () => claims.length === count)
      await claimed(2)
      gates.get('f')!.resolve()
      await claimed(3)
      expect(most).toBe(2)
      await queue.setLimits!('q', { concurrency: 3 })
      await claimed(4)
      expect(await queue.getJobCounts('q')).toMatchObject({ waiting: 2, active: 3 })
      await queue.setLimits!('q', { concurrency: 1 })
      for (const id of ['a', 'b']) gates.get(id)!.resolve()
      await reach('b', 'completed')
      expect(await queue.getLimits!('q')).toEqual({ concurrency: 1 })
      expect(claims).toHaveLength(4)
      await queue.setLimits!('q', { concurrency: null })
      await claimed(6)
      for (const { resolve } of gates.values()) resolve()
      await Promise.all(ids.map((id) => reach(id, 'completed')))
      expect(most).toBe(3)
      expect(await queue.getLimits!('q')).toEqual({})
    }),
  )

  it(
    'claims at most as many jobs in a period as the rate of the queue allows, until the rate changes',
    test(async ({ queue, draft, work, now, until, reach }) => {
      await queue.setLimits!('q', { rate: { limit: 2, period: 300 } })
      await queue.enqueueMany(['a', 'b', 'c', 'd', 'e', 'f'].map((id) => draft({ id })))
      const before = now()
      const claims = await work(() => completed(), { concurrency: 3 })
      await reach('c', 'completed')
      expect(claims[2]!.at).toBeGreaterThanOrEqual(before + 300)
      await reach('d', 'completed')
      // A new rate begins a new period.
      await queue.setLimits!('q', { concurrency: 50, rate: { limit: 1, period: HOUR } })
      await reach('e', 'completed')
      expect(await queue.getLimits!('q')).toEqual({ concurrency: 50, rate: { limit: 1, period: HOUR } })
      expect(await queue.getJobCounts('q')).toMatchObject({ waiting: 1, active: 0 })
      await queue.setLimits!('q', { rate: null })
      await until('all jobs are claimed', () => claims.length === 6)
      expect(await queue.getLimits!('q')).toEqual({ concurrency: 50 })
    }),
  )

  it(
    'checks limits of queues',
    test(async ({ kernel }) => {
      const queue = (await kernel([])).queue('q')
      for (const change of [
        { concurrency: 0 },
        { concurrency: 1.5 },
        { rate: { limit: 1 } },
        { rate: { limit: 1, period: 0 } },
        { rate: { limit: 1, period: Infinity } },
        { rates: null },
      ]) {
        expect(await codeOf(() => queue.setLimits(change as never))).toBe('OPTION_INVALID')
      }
      expect(await queue.limits()).toEqual({})
      await queue.setLimits({ concurrency: 4 })
      await queue.setLimits({ rate: { limit: 9, period: 1000 } })
      expect(await queue.limits()).toEqual({ concurrency: 4, rate: { limit: 9, period: 1000 } })
    }),
  )
}
