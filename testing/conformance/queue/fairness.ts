import { expect, it } from 'vitest'
import type { JobDraft, QueueCapability } from '../../../kernel/index.ts'
import { codeOf } from '../harness.ts'
import { completed, type ReceivedClaim, type QueueTest } from './rig.ts'

const idsOf = (claims: readonly ReceivedClaim[]): string[] => claims.map(({ job }) => job.id)

/** A job whose id is its key and its number. */
const of = (fairKey: string, number: number, more: Partial<JobDraft> = {}): Partial<JobDraft> => ({
  id: `${fairKey}-${number}`,
  options: { fairKey },
  ...more,
})
const several = (fairKey: string, count: number, more?: Partial<JobDraft>): Partial<JobDraft>[] =>
  Array.from({ length: count }, (_, number) => of(fairKey, number, more))

/** Tests that the keys of waiting jobs take turns. */
export function fairnessTests(test: QueueTest, capabilities: Readonly<Record<QueueCapability, boolean>>): void {
  const tests = { declared: withFairness, undeclared: withoutFairness }
  tests[capabilities.fairness ? 'declared' : 'undeclared'](test)
}

function withoutFairness(test: QueueTest): void {
  it(
    'refuses "fairKey", which it does not declare, when a worker is registered and when a job is enqueued',
    test(async ({ kernel }) => {
      const app = await kernel([{ id: 'w', handler: () => {} }])
      const fair = { id: 'fair', config: { fairKey: 'a' }, handler: () => {} }
      expect(await codeOf(() => app.registerWorker(fair))).toBe('OPTION_UNSUPPORTED')
      expect(await codeOf(() => app.enqueue('w', null, { fairKey: 'a' }))).toBe('OPTION_UNSUPPORTED')
    }),
  )
}

function withFairness(test: QueueTest): void {
  it(
    'starts a job of each key in each turn, also for jobs that arrive in between, and the jobs of a key in order',
    test(async ({ queue, workers, draft, add, work, reach }) => {
      const gate = Promise.withResolvers<void>()
      await queue.enqueueMany(several('big', 4).map(draft))
      await queue.enqueueMany([of('big', 4), of('big', 5), of('b', 0)].map(draft))
      const before = await work(async ({ job }) => {
        if (job.id === 'big-1') await gate.promise
        return completed()
      })
      await reach('big-1', 'active')
      // Jobs that were claimed in advance return to their positions.
      await queue.pause('q')
      gate.resolve()
      await workers.unregisterWorker('q', 'work')
      await queue.resume('q')
      expect(idsOf(before)).toEqual(['big-0', 'b-0', 'big-1'])
      for (const job of [of('c', 0), of('d', 0), of('big', 6), of('c', 1)]) await add(job)
      const claims = await work(() => completed())
      await reach('big-6', 'completed')
      expect(idsOf(claims)).toEqual(['big-2', 'c-0', 'd-0', 'big-3', 'c-1', 'big-4', 'big-5', 'big-6'])
    }),
  )

  it(
    'starts as many jobs of a key in a turn as its weight says',
    test(async ({ queue, draft, work, reach }) => {
      const heavy = several('heavy', 20, { options: { fairKey: 'heavy', fairWeight: 4 } })
      await queue.enqueueMany([...heavy, ...several('light', 5)].map(draft))
      const claims = await work(() => completed())
      await Promise.all(['heavy-19', 'light-4'].map((id) => reach(id, 'completed')))
      const first = idsOf(claims).slice(0, 15)
      expect([11, 12, 13]).toContain(first.filter((id) => id.startsWith('heavy')).length)
      expect(idsOf(claims).filter((id) => id.startsWith('heavy'))).toEqual(heavy.map(({ id }) => id))
    }),
  )

  it(
    'accepts any text as a key',
    test(async ({ queue, draft, work, reach }) => {
      const keys = [
        '__proto__',
        'constructor',
        ':',
        '{a}',
        "'; --",
        '%',
        '\n',
        '😀',
        'A',
        'a',
        '\\u0000',
        'x'.repeat(512),
      ]
      const jobs = [0, 1].flatMap((turn) =>
        keys.map((fairKey, n) => draft({ id: `${n}.${turn}`, options: { fairKey } })),
      )
      await queue.enqueueMany(jobs.toSorted((a, b) => Number(a.id.split('.')[0]) - Number(b.id.split('.')[0])))
      const claims = await work(() => completed())
      await reach(jobs.at(-1)!.id, 'completed')
      expect(idsOf(claims)).toEqual(jobs.map(({ id }) => id))
      expect(claims[0]!.job.options.fairKey).toBe('__proto__')
    }),
  )

  it(
    'gives a job that is retried or becomes due a turn behind the waiting jobs of its key',
    test(async ({ queue, add, draft, work, reach, now }) => {
      await queue.enqueueMany(several('later', 4, { runAt: now() + 3_600_000 }).map(draft))
      await queue.enqueueMany([...several('big', 3), ...several('x', 3)].map(draft))
      for (const number of [0, 1]) await queue.promote('q', `later-${number}`)
      for (const number of [2, 3]) await queue.reschedule('q', `later-${number}`, now())
      await add(of('y', 0))
      const claims = await work(({ job }) => {
        const again = job.id === 'big-0' && job.attemptsMade === 0
        return again ? { type: 'retry', error: { name: 'Error', message: 'boom' }, runAt: now() } : completed()
      })
      await Promise.all(['later-3', 'big-0'].map((id) => reach(id, 'completed')))
      const ids = idsOf(claims)
      expect(ids).toHaveLength(12)
      const ofKey = (key: string): string[] => ids.filter((id) => id.startsWith(key))
      expect(ofKey('big')).toEqual(['big-0', 'big-1', 'big-2', 'big-0'])
      expect(ofKey('later')).toEqual(['later-0', 'later-1', 'later-2', 'later-3'])
      expect(ids.slice(0, 4).toSorted()).toEqual(['big-0', 'later-0', 'x-0', 'y-0'])
    }),
  )

  it(
    'does not charge a key for jobs that were cancelled or removed',
    test(async ({ queue, add, draft, work, reach }) => {
      await queue.enqueueMany([...several('big', 12), ...several('x', 6)].map(draft))
      for (let number = 11; number >= 6; number--) await queue.cancel('q', `big-${number}`)
      for (let number = 0; number < 6; number++) await queue.remove('q', `big-${number}`)
      await add({ id: 'big-new', options: { fairKey: 'big' } })
      await queue.retry('q', 'big-6')
      const claims = await work(() => completed())
      await reach('x-5', 'completed')
      expect(idsOf(claims)).toEqual(['x-0', 'big-new', 'x-1', 'big-6', 'x-2', 'x-3', 'x-4', 'x-5'])
    }),
  )

  it(
    'takes turns among the jobs of one priority, and runs jobs without a key before them',
    test(async ({ queue, draft, work, reach }) => {
      const jobs = [
        of('a', 0),
        of('b', 0, { priority: -2 }),
        of('b', 1, { priority: 1000 }),
        of('a', 1, { priority: 1000 }),
      ]
      const plain = [0, 1000, -2].map((priority) => ({ id: `plain${priority}`, priority }))
      await queue.enqueueMany([...jobs, of('a', 2, { priority: 1000 }), ...plain, of('c', 0)].map(draft))
      const claims = await work(() => completed())
      await reach('b-0', 'completed')
      const urgent = ['plain1000', 'b-1', 'a-1', 'a-2']
      expect(idsOf(claims)).toEqual([...urgent, 'plain0', 'a-0', 'c-0', 'plain-2', 'b-0'])
    }),
  )
}
