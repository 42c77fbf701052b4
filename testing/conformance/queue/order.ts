import { expect, it } from 'vitest'
import type { QueueCapability } from '../../../kernel/index.ts'
import { codeOf } from '../harness.ts'
import { completed, failed, queueWorker, type ReceivedClaim, type QueueTest } from './rig.ts'

const idsOf = (claims: readonly ReceivedClaim[]): string[] => claims.map(({ job }) => job.id)

/** Tests which job is claimed next, and when. */
export function orderTests(test: QueueTest, capabilities: Readonly<Record<QueueCapability, boolean>>): void {
  it(
    'starts jobs in the order of arrival, including those of a batch',
    test(async ({ queue, add, draft, work, reach }) => {
      await add({ id: 'a' })
      await queue.enqueueMany(['b', 'c', 'd'].map((id) => draft({ id })))
      await add({ id: 'e' })
      const claims = await work(() => completed())
      await reach('e', 'completed')
      expect(idsOf(claims)).toEqual(['a', 'b', 'c', 'd', 'e'])
    }),
  )

  it(
    'claims nothing while paused, and continues when resumed',
    test(async ({ queue, add, work, reach, heard }) => {
      const claims = await work(() => completed())
      await queue.pause('q')
      await queue.pause('q')
      expect(await queue.isPaused('q')).toBe(true)
      await add({ id: 'a' })
      await add({ id: 'b', queue: 'open' })
      await work(() => completed(), { queue: 'open' })
      await reach('b', 'completed', 'open')
      expect(await queue.getJobCounts('q')).toMatchObject({ waiting: 1, active: 0 })
      await queue.resume('q')
      await queue.resume('q')
      expect(await queue.isPaused('q')).toBe(false)
      await reach('a', 'completed')
      expect(idsOf(claims)).toEqual(['a'])
      const onQ = heard.filter(({ queue: name }) => name === 'q').map(({ event }) => event)
      expect(onQ).toEqual(['paused', 'waiting', 'resumed', 'active', 'completed'])
    }),
  )

  it(
    'lets running jobs end while paused, and stays paused without a consumer',
    test(async ({ queue, workers, add, work, reach }) => {
      const gate = Promise.withResolvers<void>()
      await work(() => gate.promise.then(() => completed()))
      await add({ id: 'a' })
      await add({ id: 'b' })
      await reach('a', 'active')
      await queue.pause('q')
      gate.resolve()
      await reach('a', 'completed')
      await workers.unregisterWorker('q', 'work')
      const claims = await work(() => completed())
      expect(await queue.isPaused('q')).toBe(true)
      expect(await queue.getJobCounts('q')).toMatchObject({ waiting: 1, active: 0 })
      await queue.resume('q')
      await reach('b', 'completed')
      expect(idsOf(claims)).toEqual(['b'])
    }),
  )

  it(
    'cancels a waiting job, which then never runs',
    test(async ({ queue, add, work, reach, heard }) => {
      await add({ id: 'a' })
      await add({ id: 'b' })
      expect(await queue.cancel('q', 'a')).toBe(true)
      expect(await queue.cancel('q', 'a')).toBe(false)
      expect(await reach('a', 'cancelled')).toMatchObject({ claims: 0, finishedAt: expect.any(Number) as number })
      const claims = await work(() => completed())
      await reach('b', 'completed')
      expect(idsOf(claims)).toEqual(['b'])
      expect(heard.filter(({ event }) => event === 'cancelled').map(({ id }) => id)).toEqual(['a'])
    }),
  )

  it(
    'does not cancel a job that is active or has ended',
    test(async ({ queue, add, work, reach }) => {
      const gate = Promise.withResolvers<void>()
      await work(() => gate.promise.then(() => completed()))
      await add({ id: 'a' })
      await reach('a', 'active')
      expect(await queue.cancel('q', 'a')).toBe(false)
      gate.resolve()
      await reach('a', 'completed')
      expect(await queue.cancel('q', 'a')).toBe(false)
    }),
  )

  it(
    'retries failed and cancelled jobs with all their attempts',
    test(async ({ queue, add, work, reach }) => {
      const claims = await work(({ job }) => (job.round === 0 ? failed() : completed('ok')))
      await add({ id: 'failed', options: { attempts: 2 } })
      expect(await reach('failed', 'failed')).toMatchObject({ attemptsMade: 1, error: { message: 'boom' } })
      await queue.pause('q')
      await add({ id: 'cancelled' })
      await queue.cancel('q', 'cancelled')
      await queue.retry('q', 'failed')
      await queue.retry('q', 'cancelled')
      const again = await reach('failed', 'waiting')
      expect(again).toMatchObject({ attemptsMade: 0, crashes: 0, round: 1, claims: 1 })
      expect([again.error, again.finishedAt]).toEqual([undefined, undefined])
      await queue.resume('q')
      expect(await reach('failed', 'completed')).toMatchObject({ result: 'ok', claims: 2 })
      await reach('cancelled', 'completed')
      expect(idsOf(claims)).toEqual(['failed', 'failed', 'cancelled'])
    }),
  )

  it(
    'retries a job only in the round that the caller knows, and with other data if given',
    test(async ({ queue, add, work, reach, get }) => {
      const claims = await work(() => failed())
      await add({ id: 'a', data: { first: 1 } })
      await reach('a', 'failed')
      expect(await codeOf(() => queue.retry('q', 'a', { round: 1 }))).toBe('JOB_STATE')
      expect(await codeOf(() => queue.retry('q', 'a', { data: () => {} }))).toBe('VALUE_UNSUPPORTED')
      expect(await get('a')).toMatchObject({ state: 'failed', round: 0 })
      await queue.pause('q')
      const results = await Promise.all(
        Array.from({ length: 5 }, () => codeOf(() => queue.retry('q', 'a', { round: 0, data: { second: [2n] } }))),
      )
      expect(results.filter((code) => code !== 'JOB_STATE')).toHaveLength(1)
      expect(await get('a')).toMatchObject({ state: 'waiting', round: 1, data: { second: [2n] } })
      await queue.resume('q')
      await reach('a', 'failed')
      expect(await codeOf(() => queue.retry('q', 'a', { round: 0 }))).toBe('JOB_STATE')
      for (const data of [undefined, null, 'text']) {
        await queue.pause('q')
        await queue.retry('q', 'a', { data })
        expect((await get('a')).data).toBe(data)
        await queue.resume('q')
        await reach('a', 'failed')
      }
      await queue.pause('q')
      await queue.retry('q', 'a', { round: 4 })
      expect(await get('a')).toMatchObject({ round: 5, data: 'text' })
      expect(claims.map(({ job }) => job.data)).toEqual([{ first: 1 }, { second: [2n] }, undefined, null, 'text'])
    }),
  )

  it(
    'retries only failed and cancelled jobs',
    test(async ({ queue, add, work, reach }) => {
      const gate = Promise.withResolvers<void>()
      await add({ id: 'a' })
      expect(await codeOf(() => queue.retry('q', 'a'))).toBe('JOB_STATE')
      await work(() => gate.promise.then(() => completed()))
      await reach('a', 'active')
      expect(await codeOf(() => queue.retry('q', 'a'))).toBe('JOB_STATE')
      gate.resolve()
      await reach('a', 'completed')
      expect(await codeOf(() => queue.retry('q', 'a'))).toBe('JOB_STATE')
    }),
  )

  const transactionTests = { declared: (): void => {}, undeclared: withoutTransaction }
  transactionTests[capabilities.transaction ? 'declared' : 'undeclared'](test)
  const priorityTests = { declared: withPriority, undeclared: withoutPriority }
  priorityTests[capabilities.priority ? 'declared' : 'undeclared'](test)
  const delayTests = { declared: withDelay, undeclared: withoutDelay }
  delayTests[capabilities.delay ? 'declared' : 'undeclared'](test)
}

function withoutTransaction(test: QueueTest): void {
  it(
    'rejects the option "db", which it does not declare',
    test(async ({ kernel, queue }) => {
      const app = await kernel([{ id: 'w', handler: () => {} }])
      const db = { query: () => Promise.resolve({ rows: [] }) }
      expect(await codeOf(() => app.enqueue('w', null, { db }))).toBe('OPTION_UNSUPPORTED')
      expect(await queue.getJobs()).toEqual([])
    }),
  )
}

function withPriority(test: QueueTest): void {
  it(
    'starts the job of the highest priority first, then by arrival',
    test(async ({ add, work, reach }) => {
      const priorities = { a: 0, b: 5, c: -3, d: 5, e: 0.5, f: 1000 }
      for (const [id, priority] of Object.entries(priorities)) await add({ id, priority })
      const claims = await work(() => completed())
      await reach('c', 'completed')
      expect(idsOf(claims)).toEqual(['f', 'b', 'd', 'e', 'a', 'c'])
    }),
  )

  it(
    'lets a job of higher priority overtake waiting jobs',
    test(async ({ add, work, reach }) => {
      const gate = Promise.withResolvers<void>()
      const claims = await work(async ({ job }) => {
        if (job.id === 'a') await gate.promise
        return completed()
      })
      await add({ id: 'a' })
      await reach('a', 'active')
      await add({ id: 'b' })
      await add({ id: 'c', priority: 1 })
      gate.resolve()
      await reach('b', 'completed')
      expect(idsOf(claims)).toEqual(['a', 'c', 'b'])
    }),
  )
}

function withoutPriority(test: QueueTest): void {
  it(
    'rejects the option "priority", which it does not declare',
    test(async ({ kernel }) => {
      const app = await kernel([{ id: 'w', handler: () => {} }])
      expect(await codeOf(() => app.enqueue('w', null, { priority: 1 }))).toBe('OPTION_UNSUPPORTED')
    }),
  )
}

function withDelay(test: QueueTest): void {
  it(
    'keeps a delayed job that has changed since the caller looked',
    test(async ({ queue, add, get, now }) => {
      await add({ id: 'later', runAt: now() + 3_600_000 })
      const later = await get('later')
      await queue.promote('q', 'later')
      expect(await codeOf(() => queue.remove('q', 'later', later))).toBe('JOB_STATE')
      expect(await get('later')).toMatchObject({ state: 'waiting' })
    }),
  )

  it(
    'starts delayed jobs when they are due and not earlier, the earliest first',
    test(async ({ add, work, reach, now }) => {
      const start = now()
      const claims = await work(() => completed())
      await add({ id: 'second', runAt: start + 4000 })
      await add({ id: 'past', runAt: start - 60_000 })
      await add({ id: 'first', runAt: start + 400 })
      expect(await reach('second', 'delayed')).toMatchObject({ runAt: start + 4000 })
      await reach('second', 'completed')
      expect(idsOf(claims)).toEqual(['past', 'first', 'second'])
      expect(claims[1]!.at).toBeGreaterThanOrEqual(start + 400)
      expect(claims[2]!.at).toBeGreaterThanOrEqual(start + 4000)
    }),
  )

  it(
    'starts jobs that are due together in the order of arrival',
    test(async ({ add, work, reach, now }) => {
      // All jobs have to be added before they are due, on a busy machine as well.
      const due = now() + 3000
      const ids = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
      for (const id of ids) await add({ id, runAt: due })
      const claims = await work(() => completed())
      for (const id of ids) await reach(id, 'completed')
      expect(idsOf(claims)).toEqual(ids)
    }),
  )

  it(
    'runs no delayed job that was cancelled or removed',
    test(async ({ queue, add, work, reach, now }) => {
      const claims = await work(() => completed())
      for (const id of ['cancelled', 'removed']) await add({ id, runAt: now() + 2000 })
      expect(await queue.cancel('q', 'cancelled')).toBe(true)
      expect(await queue.remove('q', 'removed')).toBe(true)
      await add({ id: 'later', runAt: now() + 2100 })
      await reach('later', 'completed')
      expect(idsOf(claims)).toEqual(['later'])
      expect(await queue.getJobCounts('q')).toMatchObject({ cancelled: 1, completed: 1, delayed: 0 })
    }),
  )

  it(
    'delays a job of an application, which can be cancelled until it is due',
    test(async ({ kernel, reach, now }) => {
      const ran: unknown[] = []
      const app = await kernel([queueWorker(({ data }) => void ran.push(data))])
      const start = now()
      const job = await app.enqueue('w', 'cancelled', { delay: 1000 })
      expect(await app.cancel(job)).toBe(true)
      await reach(job.id, 'cancelled')
      const after = await app.enqueue('w', 'after', { delay: new Date(start + 1050) })
      const { startedAt } = await reach(after.id, 'completed')
      expect(startedAt).toBeGreaterThanOrEqual(start + 1050)
      expect(ran).toEqual(['after'])
    }),
  )

  it(
    'accepts a delay longer than the limit of a timer',
    test(async ({ add, work, reach, now, get }) => {
      const claims = await work(() => completed())
      await add({ id: 'far', runAt: now() + 2 ** 31 + 1000 })
      await add({ id: 'near', runAt: now() + 50 })
      await reach('near', 'completed')
      expect(idsOf(claims)).toEqual(['near'])
      expect(await get('far')).toMatchObject({ state: 'delayed', claims: 0 })
    }),
  )

  it(
    'makes a delayed job due on request',
    test(async ({ queue, add, work, reach, now }) => {
      const claims = await work(() => completed())
      await add({ id: 'a', runAt: now() + 60_000 })
      expect(await queue.promote('q', 'a')).toBe(true)
      const { runAt } = await reach('a', 'completed')
      expect(runAt).toBeLessThanOrEqual(now())
      expect(await queue.promote('q', 'a')).toBe(false)
      expect(idsOf(claims)).toEqual(['a'])
    }),
  )

  it(
    'changes when a waiting or delayed job is due, so that other jobs can overtake it',
    test(async ({ queue, add, work, reach, now, get, heard }) => {
      await add({ id: 'later' })
      await add({ id: 'sooner', runAt: now() + 3_600_000, data: { kept: true }, priority: 2 })
      await add({ id: 'next' })
      const at = now() + 60_000
      expect(await queue.reschedule('q', 'later', at)).toBe(true)
      expect(await get('later')).toMatchObject({ state: 'delayed', runAt: at, claims: 0 })
      expect(await queue.reschedule('q', 'sooner', at)).toBe(true)
      expect(await get('sooner')).toMatchObject({ state: 'delayed', data: { kept: true }, priority: 2 })
      expect(await queue.getJobCounts('q')).toMatchObject({ waiting: 1, delayed: 2 })
      expect(await queue.reschedule('q', 'sooner', now() + 50)).toBe(true)
      const claims = await work(() => completed())
      await reach('sooner', 'completed')
      expect(idsOf(claims).toSorted()).toEqual(['next', 'sooner'])
      expect(await queue.reschedule('q', 'later', now() - 1000)).toBe(true)
      const { runAt } = await reach('later', 'completed')
      expect(runAt).toBeLessThanOrEqual(now())
      expect(await queue.reschedule('q', 'later', at)).toBe(false)
      expect(await queue.reschedule('q', 'nobody', at)).toBe(false)
      expect(heard).toContainEqual({ event: 'delayed', queue: 'q', id: 'later' })
    }),
  )

  it(
    'never loses sight of a job while it is rescheduled, and does not reschedule a running job',
    test(async ({ queue, add, work, reach, now }) => {
      const gate = Promise.withResolvers<void>()
      await add({ id: 'a', runAt: now() + 60_000 })
      const changing = Promise.all(
        Array.from({ length: 20 }, (_, index) => queue.reschedule('q', 'a', now() + 60_000 + index)),
      )
      const seen = await Promise.all(Array.from({ length: 20 }, () => queue.getJob('q', 'a')))
      expect(await changing).not.toContain(false)
      expect(seen.map((job) => job?.state)).toEqual(seen.map(() => 'delayed'))
      await work(() => gate.promise.then(() => completed()))
      await queue.reschedule('q', 'a', 0)
      await reach('a', 'active')
      expect(await queue.reschedule('q', 'a', now() + 60_000)).toBe(false)
      gate.resolve()
      expect(await reach('a', 'completed')).toMatchObject({ claims: 1 })
    }),
  )

  it(
    'does not promote a waiting job',
    test(async ({ queue, add }) => {
      await add({ id: 'a' })
      expect(await queue.promote('q', 'a')).toBe(false)
    }),
  )
}

function withoutDelay(test: QueueTest): void {
  it(
    'rejects the option "delay", which it does not declare',
    test(async ({ kernel }) => {
      const app = await kernel([{ id: 'w', handler: () => {} }])
      expect(await codeOf(() => app.enqueue('w', null, { delay: 1000 }))).toBe('OPTION_UNSUPPORTED')
    }),
  )
}
