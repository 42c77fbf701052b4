import { expect, it } from 'vitest'
import type { MaybePromise } from '../../../kernel/index.ts'
import { completed, type QueueRig, type QueueTest } from './rig.ts'

interface Load {
  /** Lets all running jobs and all later ones end. */
  open(): void
  release(id: string): void
  holds(id: string): boolean
  running: number
  /** The maximum number of jobs that ran at the same time. */
  peak: number
}

/** Registers workers whose jobs run until they are released, and counts how many ran at the same time. */
async function load(rig: QueueRig, workers: readonly { name: string; concurrency: number }[]): Promise<Load> {
  const all = Promise.withResolvers<void>()
  const gates = new Map<string, PromiseWithResolvers<void>>()
  const state: Load = {
    running: 0,
    peak: 0,
    open: all.resolve,
    release: (id) => gates.get(id)!.resolve(),
    holds: (id) => gates.has(id),
  }
  for (const worker of workers) {
    await rig.work(async ({ job }) => {
      const gate = Promise.withResolvers<void>()
      gates.set(job.id, gate)
      state.peak = Math.max(state.peak, ++state.running)
      await Promise.race([gate.promise, all.promise])
      state.running--
      return completed()
    }, worker)
  }
  return state
}

/** Returns the names one after the other, and then always the last one. */
async function addMany(
  { queue, draft }: QueueRig,
  count: number,
  names: readonly string[] = ['work'],
): Promise<string[]> {
  const drafts = Array.from({ length: count }, (_, index) => draft({ name: names[index] ?? names.at(-1)! }))
  await queue.enqueueMany(drafts)
  return drafts.map(({ id }) => id)
}

async function allCompleted(rig: QueueRig, count: number): Promise<void> {
  await rig.until('all jobs are completed', async () => (await rig.queue.getJobCounts('q')).completed === count)
}

/** Tests consumers: how many jobs run at the same time, and how consumers close. */
export function workerTests(test: QueueTest): void {
  it(
    'runs as many jobs of a queue at the same time as the sum of the concurrency of its workers',
    test(async (rig) => {
      const workers = [
        { name: 'work', concurrency: 2 },
        { name: 'more', concurrency: 3 },
      ]
      const busy = await load(rig, workers)
      const ids = await addMany(rig, 9, ['work', 'more', 'more', 'work', 'more', 'work'])
      await rig.until('five jobs run', () => busy.running === 5)
      expect(await rig.queue.getJobCounts('q')).toMatchObject({ active: 5, waiting: 4 })
      busy.release(ids[0]!)
      await rig.until('the next one runs', () => busy.running === 5 && rig.reach(ids[5]!, 'active').then(() => true))
      busy.open()
      await allCompleted(rig, 9)
      expect(busy.peak).toBe(5)
    }),
  )

  it(
    'limits each worker to its concurrency, and runs the jobs of others meanwhile',
    test(async (rig) => {
      const gate = Promise.withResolvers<void>()
      const running = new Map<string, number>()
      const peaks = new Map<string, number>()
      const handle = async ({ job: { name } }: { job: { name: string } }) => {
        const now = (running.get(name) ?? 0) + 1
        running.set(name, now)
        peaks.set(name, Math.max(peaks.get(name) ?? 0, now))
        await gate.promise
        running.set(name, running.get(name)! - 1)
        return completed()
      }
      await rig.work(handle, { name: 'one', concurrency: 1 })
      await rig.work(handle, { name: 'two', concurrency: 2 })
      const ids = await addMany(rig, 130, ['one'])
      const others = await addMany(rig, 5, ['two'])
      await rig.until('the other worker is full', () => running.get('two') === 2)
      expect(running.get('one')).toBe(1)
      await rig.elapse(1200)
      expect([running.get('one'), running.get('two')]).toEqual([1, 2])
      gate.resolve()
      await allCompleted(rig, 135)
      expect([...peaks]).toEqual([
        ['one', 1],
        ['two', 2],
      ])
      const jobs = await rig.queue.getJobs({ queue: 'q', limit: 1000 })
      expect(jobs.map(({ id }) => id).toSorted()).toEqual([...ids, ...others].toSorted())
      // No job was claimed again and again.
      expect(jobs.reduce((sum, { claims }) => sum + claims, 0)).toBeLessThan(135 * 6)
    }),
  )

  it(
    'returns jobs that wait for a full worker to the queue when it closes',
    test(async (rig) => {
      const gate = Promise.withResolvers<void>()
      const begun: string[] = []
      const handle = async ({ job }: { job: { id: string } }) => {
        begun.push(job.id)
        await gate.promise
        return completed()
      }
      await rig.work(handle, { name: 'one' })
      await rig.work(handle, { name: 'two' })
      const ids = await addMany(rig, 6, ['one', 'one', 'one', 'two', 'one'])
      await rig.until('one job of each worker runs', () => begun.length === 2)
      const closing = rig.workers.closeAll({ timeout: 60_000 })
      await rig.until('only those run', async () => (await rig.queue.getJobCounts('q')).active === 2)
      gate.resolve()
      await closing
      expect(new Set(begun)).toEqual(new Set([ids[0], ids[3]]))
      const { waiting, delayed, completed: ended } = await rig.queue.getJobCounts('q')
      expect([waiting + delayed, ended]).toEqual([4, 2])
    }),
  )

  it(
    'settles each job when it ends, independent of jobs that were claimed with it',
    test(async (rig) => {
      const busy = await load(rig, [{ name: 'work', concurrency: 40 }])
      const ids = await addMany(rig, 40)
      await rig.until('all run', () => busy.running === 40)
      for (const id of ids.slice(1)) busy.release(id)
      await allCompleted(rig, 39)
      expect(await rig.get(ids[0]!)).toMatchObject({ state: 'active' })
      busy.open()
      await allCompleted(rig, 40)
    }),
  )

  it(
    'runs many more jobs than its concurrency, each once, and never exceeds the concurrency',
    test(async (rig) => {
      const busy = await load(rig, [{ name: 'work', concurrency: 60 }])
      const ids = await addMany(rig, 300)
      await rig.until('there is no more room', () => busy.running === 60)
      busy.open()
      await allCompleted(rig, 300)
      expect(busy.peak).toBe(60)
      const jobs = await rig.queue.getJobs({ queue: 'q', limit: 1000 })
      expect(jobs.map(({ id, claims }) => `${id}: ${claims}`).toSorted()).toEqual(
        ids.map((id) => `${id}: 1`).toSorted(),
      )
    }),
  )

  it(
    'starts no more jobs once its queue is paused, even if they are fast',
    test(async (rig) => {
      const { queue } = rig
      let begun = 0
      let paused: MaybePromise<void>
      const claims = await rig.work(
        async () => {
          if (++begun === 100) paused = queue.pause('q')
          await paused
          return completed()
        },
        { concurrency: 5 },
      )
      await addMany(rig, 1000)
      await rig.until('nothing runs any more', async () => {
        const { active } = await queue.getJobCounts('q')
        return begun >= 100 && active === 0
      })
      const { waiting, completed: ended } = await queue.getJobCounts('q')
      expect(waiting).toBeGreaterThan(0)
      expect(ended + waiting).toBe(1000)
      expect(claims).toHaveLength(ended)
      await queue.resume('q')
      await allCompleted(rig, 1000)
      expect(new Set(claims.map(({ job }) => job.id)).size).toBe(1000)
      expect(claims).toHaveLength(1000)
    }),
  )

  it(
    'starts no more jobs of a queue that a deferral holds, even if they are fast',
    test(async (rig) => {
      const claims = await rig.work(
        () => (claims.length === 500 ? { type: 'defer', runAt: rig.now() + 500, holdQueue: true } : completed()),
        { concurrency: 5 },
      )
      await addMany(rig, 1000)
      await rig.until('nothing runs any more', async () => {
        const { active } = await rig.queue.getJobCounts('q')
        return claims.length >= 500 && active === 0
      })
      // These jobs were in flight or in another slot.
      expect(claims.length).toBeLessThanOrEqual(510)
      await allCompleted(rig, 1000)
      expect(claims).toHaveLength(1001)
    }),
  )

  it(
    'leaves jobs that it has not started to other consumers when it closes',
    test(async (rig) => {
      const { queue, workers } = rig
      const gate = Promise.withResolvers<void>()
      let running = 0
      const first = await rig.work(
        async () => {
          if (first.length > 100) {
            running++
            await gate.promise
          }
          return completed()
        },
        { concurrency: 5 },
      )
      await addMany(rig, 1000)
      await rig.until('five jobs are held', () => running === 5)
      const closing = workers.closeAll({ timeout: 10_000 })
      await rig.until('only those are', async () => (await queue.getJobCounts('q')).active === 5)
      gate.resolve()
      await closing
      const { waiting, active, completed: ended } = await queue.getJobCounts('q')
      expect([active, ended, waiting]).toEqual([0, first.length, 1000 - first.length])
      expect(first).toHaveLength(105)
      const others = await rig.work(() => completed(), { concurrency: 5 })
      await allCompleted(rig, 1000)
      expect(new Set([...first, ...others].map(({ job }) => job.id)).size).toBe(1000)
      expect(others).toHaveLength(895)
    }),
  )

  it(
    'runs more when a worker joins and fewer when one leaves',
    test(async (rig) => {
      const busy = await load(rig, [{ name: 'work', concurrency: 1 }])
      const ids = await addMany(rig, 9, ['work', 'joins', 'joins', 'work'])
      await rig.until('one job runs', () => busy.running === 1)
      expect(await rig.queue.getJobCounts('q')).toMatchObject({ active: 1, waiting: 8 })
      const joined = await load(rig, [{ name: 'joins', concurrency: 2 }])
      await rig.until('three jobs run', () => busy.running + joined.running === 3)
      await rig.workers.unregisterWorker('q', 'joins')
      for (const id of ids.slice(0, 3)) (busy.holds(id) ? busy : joined).release(id)
      await rig.until('one of the others runs', async () => (await rig.queue.getJobCounts('q')).completed === 3)
      await rig.until('it runs alone', () => busy.running + joined.running === 1)
      expect(await rig.queue.getJobCounts('q')).toMatchObject({ active: 1, waiting: 5 })
      busy.open()
      joined.open()
      await allCompleted(rig, 9)
    }),
  )

  it(
    'returns its workers',
    test(async ({ workers, work }) => {
      await work(() => completed(), { name: 'a', concurrency: 2 })
      await work(() => completed(), { name: 'b' })
      expect(workers.getWorker('q', 'a')).toEqual({ queue: 'q', name: 'a', options: { concurrency: 2 } })
      expect(workers.getWorker('q', 'c')).toBeUndefined()
      expect(workers.getWorker('other', 'a')).toBeUndefined()
      await workers.unregisterWorker('q', 'a')
      await workers.unregisterWorker('q', 'a')
      expect(workers.getWorker('q', 'a')).toBeUndefined()
      expect(workers.getWorker('q', 'b')).toBeDefined()
    }),
  )

  it(
    'keeps jobs of every name waiting while a queue has no worker, and claims them when the first worker joins',
    test(async ({ queue, workers, add, work, reach }) => {
      await work(() => completed())
      await workers.unregisterWorker('q', 'work')
      await add({ id: 'a' })
      await add({ id: 'b', name: 'another' })
      await work(() => completed(), { queue: 'other' })
      await add({ id: 'c', queue: 'other' })
      await reach('c', 'completed', 'other')
      expect(await queue.getJobCounts('q')).toMatchObject({ waiting: 2 })
      const claims = await work(() => completed())
      await reach('b', 'completed')
      expect(claims.map(({ job }) => job.name)).toEqual(['work', 'another'])
    }),
  )

  it(
    'waits for running jobs when it closes, and claims no more jobs',
    test(async ({ workers, add, work, reach, queue, get, elapse }) => {
      const gate = Promise.withResolvers<void>()
      await work(() => gate.promise.then(() => completed()))
      await add({ id: 'a' })
      await add({ id: 'b' })
      await reach('a', 'active')
      const order: string[] = []
      queue.on('q', 'completed', () => void order.push('completed'))
      const closing = workers.closeAll({ timeout: 60_000 }).then(() => order.push('closed'))
      await elapse(20)
      gate.resolve()
      await closing
      expect(order).toEqual(['completed', 'closed'])
      expect(await get('b')).toMatchObject({ state: 'waiting', claims: 0 })
    }),
  )

  it(
    'waits no longer than its timeout when it closes',
    test(async ({ workers, add, work, reach, get }) => {
      const gate = Promise.withResolvers<void>()
      await work(() => gate.promise.then(() => completed()))
      await add({ id: 'a' })
      await reach('a', 'active')
      await workers.closeAll({ timeout: 30 })
      expect(await get('a')).toMatchObject({ state: 'active', claims: 1 })
      gate.resolve()
    }),
  )

  it(
    'closes twice without running jobs',
    test(async ({ workers, work }) => {
      await work(() => completed())
      await workers.closeAll({ timeout: 60_000 })
      await workers.closeAll({ timeout: 60_000 })
      expect(workers.getWorker('q', 'work')).toBeUndefined()
    }),
  )
}
