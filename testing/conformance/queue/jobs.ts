import { expect, it } from 'vitest'
import type { JobState } from '../../../kernel/index.ts'
import { codeOf } from '../harness.ts'
import { completed, failed, type QueueTest } from './rig.ts'

const NONE: Record<JobState, number> = { waiting: 0, delayed: 0, active: 0, completed: 0, failed: 0, cancelled: 0 }

/** Tests how jobs are stored, found, counted and removed. */
export function jobTests(test: QueueTest): void {
  it(
    'stores a job and returns it by its id',
    test(async ({ queue, add, draft, get }) => {
      const job = draft({ id: 'a', data: { n: 1 }, options: { attempts: 3 }, priority: 0 })
      expect(await queue.enqueue(job)).toEqual({ id: 'a', runId: 'run-a', deduplicated: false })
      await add({ id: 'b' })
      const fresh = { state: 'waiting', attemptsMade: 0, claims: 0, crashes: 0, round: 0 }
      expect(await get('a')).toMatchObject({ ...job, ...fresh })
    }),
  )

  it(
    'returns nothing for jobs and queues that do not exist',
    test(async ({ queue }) => {
      expect(await queue.getJob('q', 'a')).toBeUndefined()
      expect(await queue.getJobCounts('q')).toEqual(NONE)
      expect(await queue.getJobs({ queue: 'q' })).toEqual([])
      expect(await queue.getQueues()).toEqual([])
      expect(await queue.isPaused('q')).toBe(false)
      expect(await codeOf(() => queue.retry('q', 'a'))).toBe('JOB_NOT_FOUND')
      expect(await queue.promote('q', 'a')).toBe(false)
      expect(await queue.cancel('q', 'a')).toBe(false)
      expect(await queue.remove('q', 'a')).toBe(false)
      expect(await queue.getQueues()).toEqual([])
    }),
  )

  it(
    'removes a job only while it is as the caller expects, if the caller expects something',
    test(async ({ queue, add, now, work, reach, until, get }) => {
      const createdAt = now() - 1000
      await add({ id: 'a', createdAt, runAt: createdAt })
      const waits = await get('a')
      await work(() => failed())
      const failedOnce = await reach('a', 'failed')
      await queue.retry('q', 'a')
      const job = await until('it has failed again', async () => {
        const found = await get('a')
        return found.state === 'failed' && found.round === 1 && found
      })
      const others = [{ state: 'completed' }, { round: 0 }, { claims: 9 }, { createdAt: createdAt + 1 }] as const
      for (const expected of [waits, failedOnce, ...others.map((mark) => ({ ...job, ...mark }))])
        expect(await codeOf(() => queue.remove('q', 'a', expected))).toBe('JOB_STATE')
      expect(await queue.remove('q', 'none', job)).toBe(false)
      expect(await get('a')).toMatchObject({ state: 'failed', round: 1 })
      expect(await queue.remove('q', 'a', job)).toBe(true)
      expect(await queue.remove('q', 'a', job)).toBe(false)
    }),
  )

  it(
    'lists the queues that have jobs or a consumer',
    test(async ({ queue, add, work }) => {
      await add({ id: 'a', queue: 'holds' })
      await work(() => completed(), { queue: 'consumes' })
      expect((await queue.getQueues()).toSorted()).toEqual(['consumes', 'holds'])
      await queue.remove('holds', 'a')
      expect(await queue.getQueues()).toEqual(['consumes'])
    }),
  )

  it(
    'lists jobs oldest first, over all queues or by queue, name, run and state',
    test(async ({ queue, add, now, reach, work }) => {
      const base = now() - 1000
      await add({ id: 'a', queue: 'one', createdAt: base, runAt: base })
      await add({ id: 'b', queue: 'two', createdAt: base + 1, runAt: base + 1, name: 'other' })
      await add({ id: 'c', queue: 'one', createdAt: base + 2, runAt: base + 2, name: 'other' })
      await add({ id: 'd', queue: 'two', createdAt: base + 3, runAt: base + 3 })
      const ids = async (query: Parameters<typeof queue.getJobs>[0]): Promise<string[]> =>
        (await queue.getJobs(query)).map(({ id }) => id)
      expect(await ids({})).toEqual(['a', 'b', 'c', 'd'])
      expect(await ids({ queue: 'two' })).toEqual(['b', 'd'])
      expect(await ids({ name: 'other' })).toEqual(['b', 'c'])
      expect(await ids({ runId: 'run-c' })).toEqual(['c'])
      for (const id of ['own', '8f14e45f-ceea-467f-a0e6-1f0c3d0b5a11']) {
        await add({ id, queue: 'two', runId: id, createdAt: base + 4, runAt: base + 4 })
        await add({ id: `of ${id}`, queue: 'one', runId: id, createdAt: base + 5, runAt: base + 5 })
        expect(await ids({ runId: id })).toEqual([id, `of ${id}`])
        expect(await ids({ runId: id, queue: 'one' })).toEqual([`of ${id}`])
        await queue.remove('two', id)
        await queue.remove('one', `of ${id}`)
      }
      expect(await ids({ queue: 'one', name: 'other' })).toEqual(['c'])
      expect(await ids({ offset: 1, limit: 2 })).toEqual(['b', 'c'])
      expect(await ids({ limit: 0 })).toEqual([])
      await work(() => completed(), { queue: 'one' })
      await reach('a', 'completed', 'one')
      await reach('c', 'completed', 'one')
      expect(await ids({ states: ['completed'] })).toEqual(['a', 'c'])
      expect(await ids({ states: ['waiting', 'active'] })).toEqual(['b', 'd'])
    }),
  )

  it(
    'lists a hundred jobs by default',
    test(async ({ queue, draft }) => {
      await queue.enqueueMany(Array.from({ length: 101 }, () => draft()))
      expect(await queue.getJobs()).toHaveLength(100)
      expect(await queue.getJobs({ limit: 1000 })).toHaveLength(101)
    }),
  )

  it(
    'counts jobs by state',
    test(async ({ queue, add, reach, work, now }) => {
      const gate = Promise.withResolvers<void>()
      await work(async ({ job }) => {
        if (job.id === 'runs') await gate.promise
        if (job.id === 'late') return { type: 'defer', runAt: now() + 60_000 }
        return job.id === 'fails' ? failed() : completed()
      })
      await add({ id: 'done' })
      await reach('done', 'completed')
      await add({ id: 'fails' })
      await reach('fails', 'failed')
      await add({ id: 'late' })
      await reach('late', 'delayed')
      await add({ id: 'runs' })
      await reach('runs', 'active')
      for (const id of ['w1', 'w2', 'w3', 'gone']) await add({ id })
      await queue.cancel('q', 'gone')
      const counts = { waiting: 3, delayed: 1, active: 1, completed: 1, failed: 1, cancelled: 1 }
      expect(await queue.getJobCounts('q')).toEqual(counts)
      gate.resolve()
    }),
  )

  it(
    'adds an id once in a queue, independent of the state of its job',
    test(async ({ queue, add, reach, work, get }) => {
      await add({ id: 'a', data: 'first' })
      const again = { id: 'a', runId: 'run-a', deduplicated: true }
      expect(await add({ id: 'a', runId: 'another', data: 'second' })).toEqual(again)
      expect((await get('a')).data).toBe('first')
      expect(await add({ id: 'a', queue: 'elsewhere' })).toMatchObject({ deduplicated: false })
      const claims = await work(() => completed())
      await reach('a', 'completed')
      expect(await add({ id: 'a', runId: 'another' })).toEqual(again)
      await add({ id: 'b' })
      await reach('b', 'completed')
      expect(claims.map(({ job }) => job.id)).toEqual(['a', 'b'])
      expect(await queue.getJobCounts('q')).toEqual({ ...NONE, completed: 2 })
    }),
  )

  it(
    'adds an id once if it is enqueued many times at the same time',
    test(async ({ queue, add }) => {
      const receipts = await Promise.all(
        Array.from({ length: 20 }, (_, index) => add({ id: 'a', runId: `run-${index}` })),
      )
      expect(receipts.filter(({ deduplicated }) => !deduplicated)).toHaveLength(1)
      expect(new Set(receipts.map(({ runId }) => runId)).size).toBe(1)
      expect(await queue.getJobCounts('q')).toEqual({ ...NONE, waiting: 1 })
    }),
  )

  it(
    'adds many jobs with receipts in order, known and repeated ids once',
    test(async ({ queue, add, draft }) => {
      await add({ id: 'known' })
      const drafts = [{ id: 'a' }, { id: 'known' }, { id: 'a', runId: 'x' }, { id: 'a', queue: 'other' }, { id: 'b' }]
      const receipts = await queue.enqueueMany(drafts.map(draft))
      expect(receipts.map(({ id, deduplicated }) => [id, deduplicated])).toEqual([
        ['a', false],
        ['known', true],
        ['a', true],
        ['a', false],
        ['b', false],
      ])
      expect(receipts[2]?.runId).toBe('run-a')
      expect(await queue.getJobCounts('q')).toEqual({ ...NONE, waiting: 3 })
      expect(await queue.enqueueMany([])).toEqual([])
    }),
  )

  it(
    'adds no job of a batch if one is rejected',
    test(async ({ queue, draft, heard }) => {
      const drafts = [draft({ queue: 'one' }), draft({ queue: 'two', data: () => {} }), draft({ queue: 'one' })]
      expect(await codeOf(() => queue.enqueueMany(drafts))).toBe('VALUE_UNSUPPORTED')
      expect(await queue.getJobs()).toEqual([])
      expect(heard).toEqual([])
    }),
  )

  it(
    'removes a job that is not active, and frees its id',
    test(async ({ queue, add, work, reach }) => {
      await add({ id: 'waits' })
      await add({ id: 'stays' })
      expect(await queue.remove('q', 'waits')).toBe(true)
      expect(await queue.remove('q', 'waits')).toBe(false)
      const claims = await work(() => completed())
      await reach('stays', 'completed')
      expect(await queue.remove('q', 'stays')).toBe(true)
      expect(await queue.getJob('q', 'stays')).toBeUndefined()
      expect(await add({ id: 'stays', runId: 'new' })).toEqual({ id: 'stays', runId: 'new', deduplicated: false })
      await reach('stays', 'completed')
      expect(claims.map(({ job }) => job.runId)).toEqual(['run-stays', 'new'])
    }),
  )

  it(
    'rejects the removal of an active job',
    test(async ({ queue, add, work, reach }) => {
      const gate = Promise.withResolvers<void>()
      await work(() => gate.promise.then(() => completed()))
      await add({ id: 'a' })
      await reach('a', 'active')
      expect(await codeOf(() => queue.remove('q', 'a'))).toBe('JOB_STATE')
      gate.resolve()
      await reach('a', 'completed')
    }),
  )

  it(
    'removes ended jobs by age and number, for each outcome separately',
    test(async ({ queue, add, work, reach, elapse, now }) => {
      await work(({ job }) => (job.name === 'bad' ? failed() : completed()))
      const ended = async (id: string, name: string): Promise<void> => {
        await add({ id, name })
        await reach(id, name === 'bad' ? 'failed' : 'completed')
      }
      for (const id of ['f1', 'f2']) await ended(id, 'bad')
      for (const id of ['c1', 'c2', 'c3']) await ended(id, 'good')
      await elapse(60)
      const between = now() - 30
      await add({ id: 'waits', queue: 'other' })
      await ended('c4', 'good')
      const ids = async (): Promise<string[]> => (await queue.getJobs()).map(({ id }) => id).toSorted()
      expect(await queue.clean({ outcome: 'completed', endedBefore: 0, keep: 3 })).toBe(1)
      expect(await ids()).toEqual(['c2', 'c3', 'c4', 'f1', 'f2', 'waits'])
      expect(await queue.clean({ outcome: 'completed', endedBefore: between, keep: 100 })).toBe(2)
      expect(await ids()).toEqual(['c4', 'f1', 'f2', 'waits'])
      expect(await queue.clean({ outcome: 'failed', endedBefore: 0, keep: 0 })).toBe(2)
      expect(await queue.clean({ outcome: 'cancelled', endedBefore: Infinity, keep: 0 })).toBe(0)
      expect(await ids()).toEqual(['c4', 'waits'])
      expect(await add({ id: 'c1' })).toMatchObject({ deduplicated: false })
    }),
  )

  it(
    'counts jobs of internal queues separately from those of users',
    test(async ({ queue, add, work, reach }) => {
      const queues = ['q', '_own', '_own too']
      for (const name of queues) await work(() => completed(), { queue: name })
      for (const n of [1, 2, 3]) {
        for (const name of queues) {
          await add({ id: `${n}`, queue: name })
          await reach(`${n}`, 'completed', name)
        }
      }
      const left = async (): Promise<string[]> =>
        (await queue.getJobs()).map((job) => `${job.queue} ${job.id}`).toSorted()
      const bounds = { outcome: 'completed', endedBefore: 0 } as const
      expect(await queue.clean({ ...bounds, keep: 6 })).toBe(0)
      expect(await queue.clean({ ...bounds, keep: 3 })).toBe(3)
      expect(await left()).toEqual(['_own 3', '_own too 2', '_own too 3', 'q 1', 'q 2', 'q 3'])
      expect(await queue.clean({ ...bounds, keep: 1 })).toBe(4)
      expect(await left()).toEqual(['_own too 3', 'q 3'])
      expect(await queue.clean({ ...bounds, endedBefore: Infinity, keep: 100 })).toBe(2)
    }),
  )

  it(
    'removes no job by number that ended at or after a moment, in any queue',
    test(async ({ queue, add, work, reach, elapse, now }) => {
      await work(() => completed())
      await work(() => completed(), { queue: 'other' })
      const ended = async (id: string, to = 'q'): Promise<void> => {
        await add({ id, queue: to })
        await reach(id, 'completed', to)
      }
      await ended('old')
      await ended('older', 'other')
      await elapse(60)
      const keepSince = now() - 30
      const young = Array.from({ length: 20 }, (_, n) => `y${String(n).padStart(2, '0')}`)
      for (const [n, id] of young.entries()) await ended(id, n % 2 === 0 ? 'q' : 'other')
      const ids = async (): Promise<string[]> => (await queue.getJobs()).map(({ id }) => id).toSorted()
      const bounds = { outcome: 'completed', endedBefore: 0 } as const
      expect(await queue.clean({ ...bounds, keep: 22, keepSince })).toBe(0)
      expect(await queue.clean({ ...bounds, keep: 21, keepSince })).toBe(1)
      expect(await queue.clean({ ...bounds, keep: 2, keepSince })).toBe(1)
      expect(await ids()).toEqual(young)
      expect(await queue.clean({ ...bounds, keep: 2, keepSince })).toBe(0)
      expect(await queue.clean({ ...bounds, keep: 0, keepSince })).toBe(0)
      expect(await ids()).toEqual(young)
      await elapse(60)
      const later = now() - 30
      expect(await queue.clean({ ...bounds, keep: 15, keepSince: later })).toBe(5)
      expect(await queue.clean({ ...bounds, endedBefore: later, keep: 100, keepSince })).toBe(15)
      expect(await ids()).toEqual([])
    }),
  )
}
