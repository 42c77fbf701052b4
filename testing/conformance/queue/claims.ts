import { expect, it } from 'vitest'
import type { QueueCapability } from '../../../kernel/index.ts'
import { codeOf } from '../harness.ts'
import { completed, failed, type QueueTest } from './rig.ts'

/** Tests what each settlement does with a claimed job. */
export function claimTests(test: QueueTest, capabilities: Readonly<Record<QueueCapability, boolean>>): void {
  it(
    'claims a job as active, with its claim count and timestamp',
    test(async ({ add, work, reach, now }) => {
      const claims = await work(() => completed())
      const start = now()
      await add({ id: 'a', data: { n: 1 } })
      await reach('a', 'completed')
      const handed = { id: 'a', state: 'active', claims: 1, attemptsMade: 0, data: { n: 1 }, runId: 'run-a' }
      expect(claims[0]?.job).toMatchObject(handed)
      expect(claims[0]?.job.startedAt).toBeGreaterThanOrEqual(start)
    }),
  )

  it(
    'keeps the result of a completed job and the error of a failed one',
    test(async ({ add, work, reach, now }) => {
      await work(({ job }) => (job.id === 'good' ? completed({ sum: 3 }) : failed('no luck')))
      const start = now()
      await add({ id: 'good' })
      await add({ id: 'bad' })
      const good = await reach('good', 'completed')
      expect(good).toMatchObject({ result: { sum: 3 }, attemptsMade: 0, claims: 1 })
      expect(good.finishedAt).toBeGreaterThanOrEqual(start)
      const bad = await reach('bad', 'failed')
      expect(bad).toMatchObject({ error: { name: 'Error', message: 'no luck' }, attemptsMade: 1, claims: 1 })
      expect(bad.finishedAt).toBeGreaterThanOrEqual(start)
    }),
  )

  it(
    'reclaims a job after a retry, which uses up an attempt, and after a deferral, which does not',
    test(async ({ add, work, reach, now }) => {
      const claims = await work(({ job }) => {
        if (job.claims === 1) return { type: 'retry', error: { name: 'Error', message: 'boom' }, runAt: now() + 60 }
        if (job.claims === 2) return { type: 'defer', runAt: now() + 60 }
        return completed()
      })
      await add({ id: 'a' })
      expect(await reach('a', 'completed')).toMatchObject({ attemptsMade: 1, claims: 3 })
      expect(claims.map(({ job }) => [job.claims, job.attemptsMade])).toEqual([
        [1, 0],
        [2, 1],
        [3, 1],
      ])
      expect(claims[1]!.at).toBeGreaterThanOrEqual(claims[0]!.at + 60)
      expect(claims[2]!.at).toBeGreaterThanOrEqual(claims[1]!.at + 60)
    }),
  )

  it(
    'reclaims a job at once that is retried or deferred without a delay',
    test(async ({ add, work, reach, now }) => {
      await work(({ job }) => {
        if (job.claims === 1) return { type: 'retry', error: { name: 'Error', message: 'boom' }, runAt: now() }
        return job.claims === 2 ? { type: 'defer', runAt: now() - 1 } : completed()
      })
      await add({ id: 'a' })
      expect(await reach('a', 'completed')).toMatchObject({ attemptsMade: 1, claims: 3 })
    }),
  )

  it(
    'stores the state that the log has decided, with the result or error',
    test(async ({ add, work, reach }) => {
      const error = { name: 'Error', message: 'broken', code: 'E_BROKEN' }
      const ends = {
        completed: { state: 'completed', result: { n: 1, none: null } },
        failed: { state: 'failed', error },
        cancelled: { state: 'cancelled' },
        nothing: { state: 'completed', result: undefined },
      } as const
      await work(({ job }) => ({ type: 'ended', ...ends[job.data as keyof typeof ends] }))
      for (const [id, { state, ...kept }] of Object.entries(ends)) {
        await add({ id, data: id })
        const { claims, attemptsMade, result, error: stored } = await reach(id, state)
        expect({ claims, attemptsMade, result, error: stored }).toEqual({
          ...{ claims: 1, attemptsMade: 0, result: undefined, error: undefined },
          ...kept,
        })
      }
    }),
  )

  it(
    'claims no other job of the queue before a deferral that holds it is over',
    test(async ({ add, work, reach, now }) => {
      const claims = await work(({ job }) =>
        job.claims === 1 && job.id === 'a' ? { type: 'defer', runAt: now() + 80, holdQueue: true } : completed(),
      )
      await add({ id: 'a' })
      await add({ id: 'b' })
      await reach('a', 'completed')
      await reach('b', 'completed')
      const until = claims[0]!.at + 80
      expect(claims.slice(1).map(({ at }) => at >= until)).toEqual([true, true])
    }),
  )

  it(
    'lets other jobs pass a deferral that does not hold the queue',
    test(async ({ add, work, reach, now }) => {
      await add({ id: 'a' })
      await add({ id: 'b' })
      const claims = await work(({ job }) =>
        job.claims === 1 && job.id === 'a' ? { type: 'defer', runAt: now() + 1000 } : completed(),
      )
      await reach('a', 'completed')
      expect(claims.map(({ job }) => job.id)).toEqual(['a', 'b', 'a'])
    }),
  )

  it(
    'runs a job at once that was promoted before it was deferred',
    test(async ({ queue, add, work, reach, now }) => {
      const gate = Promise.withResolvers<void>()
      const start = now()
      await work(async ({ job }) => {
        if (job.claims > 1) return completed()
        await gate.promise
        return { type: 'defer', runAt: start + 3_600_000 }
      })
      await add({ id: 'a' })
      await reach('a', 'active')
      expect(await queue.promote('q', 'a')).toBe(true)
      gate.resolve()
      expect(await reach('a', 'completed')).toMatchObject({ claims: 2, attemptsMade: 0 })
    }),
  )

  it(
    'observes a second deferral although the first was promoted',
    test(async ({ queue, add, work, reach, now }) => {
      const gate = Promise.withResolvers<void>()
      const claims = await work(async ({ job }) => {
        if (job.claims === 1) await gate.promise
        return job.claims < 3 ? { type: 'defer', runAt: now() + 60 } : completed()
      })
      await add({ id: 'a' })
      await reach('a', 'active')
      await queue.promote('q', 'a')
      gate.resolve()
      await reach('a', 'completed')
      expect(claims[2]!.at).toBeGreaterThanOrEqual(claims[1]!.at + 60)
    }),
  )

  it(
    'keeps a slot occupied while code still runs after its job was settled',
    test(async ({ add, work, reach, queue }) => {
      const slot = Promise.withResolvers<void>()
      const claims = await work(({ job }) =>
        job.id === 'a' ? { ...failed('timed out'), slot: slot.promise } : completed(),
      )
      await add({ id: 'a' })
      await reach('a', 'failed')
      await add({ id: 'b' })
      await add({ id: 'c', queue: 'other' })
      await work(() => completed(), { queue: 'other' })
      await reach('c', 'completed', 'other')
      expect(claims.map(({ job }) => job.id)).toEqual(['a'])
      expect(await queue.getJobCounts('q')).toMatchObject({ waiting: 1, active: 0 })
      slot.resolve()
      await reach('b', 'completed')
    }),
  )

  const progressTests = { declared: withProgress, undeclared: withoutProgress }
  progressTests[capabilities.progress ? 'declared' : 'undeclared'](test)
}

function withProgress(test: QueueTest): void {
  it(
    'stores progress with the job and notifies listeners',
    test(async ({ queue, add, work, reach, get, until }) => {
      const gate = Promise.withResolvers<void>()
      const told: (number | undefined)[] = []
      queue.on('q', 'progress', (_event, _queue, job) => told.push(job?.progress))
      await work(async ({ lease }) => {
        await lease.progress(0.25)
        await lease.progress(0.5)
        await gate.promise
        return completed()
      })
      await add({ id: 'a' })
      await until('progress is stored', async () => (await get('a')).progress === 0.5)
      gate.resolve()
      await reach('a', 'completed')
      expect(told).toEqual([0.25, 0.5])
    }),
  )
}

function withoutProgress(test: QueueTest): void {
  it(
    'rejects progress, which it does not declare',
    test(async ({ add, work, reach }) => {
      await work(async ({ lease }) => completed(await codeOf(() => lease.progress(0.5))))
      await add({ id: 'a' })
      expect(await reach('a', 'completed')).toMatchObject({ result: 'OPTION_UNSUPPORTED' })
    }),
  )
}
