import { expect, it } from 'vitest'
import type { QueueError } from '../../../kernel/index.ts'
import { codeOf } from '../harness.ts'
import { queueWorker, type QueueTest } from './rig.ts'

/** Tests attempts, their backoff and their timeouts, through a kernel on the adapter. */
export function attemptTests(test: QueueTest): void {
  it(
    'makes the configured number of attempts with a fixed backoff, and then fails',
    test(async ({ kernel, reach, now }) => {
      const tries: { at: number; attempt: number; claim: number }[] = []
      const app = await kernel([
        queueWorker((_job, { attempt, claim }) => {
          tries.push({ at: now(), attempt, claim })
          throw new Error(`try ${attempt}`)
        }),
      ])
      const job = await app.enqueue('w', null, { attempts: 3, backoff: 50 })
      const record = await reach(job.id, 'failed')
      expect(record).toMatchObject({ attemptsMade: 3, claims: 3, error: { message: 'try 3' } })
      expect(tries.map(({ attempt, claim }) => [attempt, claim])).toEqual([
        [1, 1],
        [2, 2],
        [3, 3],
      ])
      expect(tries[1]!.at).toBeGreaterThanOrEqual(tries[0]!.at + 50)
      expect(tries[2]!.at).toBeGreaterThanOrEqual(tries[1]!.at + 50)
      await expect(app.result(job)).rejects.toThrow('try 3')
    }),
  )

  it(
    'doubles an exponential backoff up to its bound, and completes when an attempt succeeds',
    test(async ({ kernel, reach, now }) => {
      const at: number[] = []
      const app = await kernel([
        queueWorker((_job, { attempt }) => {
          at.push(now())
          if (attempt < 4) throw new Error('not yet')
          return 'done'
        }),
      ])
      const backoff = { type: 'exponential' as const, delay: 40, maxDelay: 100 }
      const job = await app.enqueue('w', null, { attempts: 5, backoff })
      expect(await reach(job.id, 'completed')).toMatchObject({ attemptsMade: 3, claims: 4, result: 'done' })
      expect(at[1]! - at[0]!).toBeGreaterThanOrEqual(40)
      expect(at[2]! - at[1]!).toBeGreaterThanOrEqual(80)
      expect(at[3]! - at[2]!).toBeGreaterThanOrEqual(100)
    }),
  )

  it(
    'fails a job at once for an error that is not retryable',
    test(async ({ kernel, reach }) => {
      const app = await kernel([
        queueWorker(() => {
          throw Object.assign(new Error('bad input'), { retryable: false })
        }),
      ])
      const job = await app.enqueue('w', null, { attempts: 5 })
      expect(await reach(job.id, 'failed')).toMatchObject({ attemptsMade: 1, claims: 1 })
    }),
  )

  it(
    'counts a deferral as a claim and not as an attempt',
    test(async ({ kernel, reach }) => {
      const seen: [number, number][] = []
      const app = await kernel([
        queueWorker((_job, ctx) => {
          seen.push([ctx.attempt, ctx.claim])
          if (ctx.claim === 1) return ctx.defer({ delay: 30 })
          if (ctx.claim === 2) throw new Error('boom')
          if (ctx.claim === 3) throw ctx.defer({ delay: 0 })
          return ctx.claim
        }),
      ])
      const job = await app.enqueue('w', null, { attempts: 2 })
      expect(await reach(job.id, 'completed')).toMatchObject({ attemptsMade: 1, claims: 4, result: 4 })
      expect(seen).toEqual([
        [1, 1],
        [1, 2],
        [2, 3],
        [2, 4],
      ])
    }),
  )

  it(
    'runs a retried job with all its attempts, and returns its new result',
    test(async ({ kernel, reach }) => {
      let broken = true
      const app = await kernel([
        queueWorker((_job, { attempt }) => {
          if (broken) throw new Error('broken')
          return attempt
        }),
      ])
      const job = await app.enqueue('w', null, { attempts: 2 })
      await reach(job.id, 'failed')
      broken = false
      await app.retry(job)
      const record = await reach(job.id, 'completed')
      expect(record).toMatchObject({ attemptsMade: 0, round: 1, claims: 3, result: 1 })
      expect(await app.result(job)).toBe(1)
      expect((await app.port('events').runs.get(job.runId))?.status).toBe('completed')
      expect(await codeOf(() => app.retry(job))).toBe('JOB_STATE')
    }),
  )

  it(
    'fails an attempt that takes too long and aborts its signal',
    test(async ({ kernel, reach }) => {
      const reasons: unknown[] = []
      const app = await kernel([
        queueWorker(async (_job, { attempt, signal }) => {
          if (attempt === 2) return 'in time'
          await new Promise((resolve) => signal.addEventListener('abort', resolve))
          reasons.push((signal.reason as QueueError).code)
          return 'too late'
        }),
      ])
      const job = await app.enqueue('w', null, { attempts: 2, timeout: 40 })
      expect(await reach(job.id, 'completed')).toMatchObject({ attemptsMade: 1, claims: 2, result: 'in time' })
      expect(reasons).toEqual(['JOB_TIMEOUT'])
    }),
  )

  it(
    'keeps the slot of a handler that never settles, and still ends its job',
    test(async ({ kernel, reach, queue }) => {
      const stuck = Promise.withResolvers<void>()
      const app = await kernel([
        queueWorker(({ data }) => (data === 'stuck' ? stuck.promise : undefined)),
        { id: 'v', config: { queue: 'other' }, handler: () => {} },
      ])
      const job = await app.enqueue('w', 'stuck', { timeout: 30 })
      const next = await app.enqueue('w', 'next')
      expect(await reach(job.id, 'failed')).toMatchObject({ error: { code: 'JOB_TIMEOUT' } })
      await reach((await app.enqueue('v')).id, 'completed', 'other')
      expect(await queue.getJobCounts('q')).toMatchObject({ waiting: 1, active: 0 })
      stuck.resolve()
      await reach(next.id, 'completed')
    }),
  )

  it(
    'sends a copy to the dead letter queue for each permanent failure, even if the id is reused',
    test(async ({ kernel, queue, reach, until }) => {
      const app = await kernel([
        queueWorker(
          () => {
            throw new Error('boom')
          },
          { deadLetter: 'dead', attempts: 2 },
        ),
      ])
      const letters = (): Promise<number> => Promise.resolve(queue.getJobCounts('dead')).then(({ waiting }) => waiting)
      await app.enqueue('w', { n: 1 }, { id: 'a' })
      expect(await reach('a', 'failed')).toMatchObject({ attemptsMade: 2 })
      await until('a letter arrives', async () => (await letters()) === 1)
      const [letter] = await queue.getJobs({ queue: 'dead' })
      expect(letter).toMatchObject({
        name: 'w',
        data: { queue: 'q', id: 'a', data: { n: 1 }, error: { message: 'boom' } },
      })
      await app.retry({ queue: 'q', id: 'a' })
      await until('the retry leaves a second letter', async () => (await letters()) === 2)
      await reach('a', 'failed')
      await queue.remove('q', 'a')
      await app.enqueue('w', { n: 2 }, { id: 'a' })
      await until('the new job leaves a third letter', async () => (await letters()) === 3)
    }),
  )
}
