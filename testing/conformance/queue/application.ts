import { expect, it } from 'vitest'
import type { Kernel, QueueError, WorkerInput } from '../../../kernel/index.ts'
import { codeOf } from '../harness.ts'
import { queueWorker, type QueueTest } from './rig.ts'

const typesOf = async (kernel: Kernel, runId: string): Promise<string[]> =>
  (await kernel.port('events').read(runId)).map(({ type }) => type)

/** Tests jobs of an application, through a kernel on the adapter. */
export function applicationTests(test: QueueTest): void {
  it(
    'cancels a job that waits, once',
    test(async ({ kernel, queue, reach }) => {
      const app = await kernel([queueWorker(() => {})])
      await queue.pause('q')
      const job = await app.enqueue('w')
      expect(await app.cancel(job)).toBe(true)
      expect(await app.cancel(job)).toBe(false)
      await reach(job.id, 'cancelled')
      expect(await codeOf(() => app.result(job))).toBe('JOB_CANCELLED')
      expect(await typesOf(app, job.runId)).toEqual(['step.cancelled'])
    }),
  )

  it(
    'cancels a job that was retried and waits again',
    test(async ({ kernel, queue, reach }) => {
      const app = await kernel([
        queueWorker(() => {
          throw new Error('boom')
        }),
      ])
      const job = await app.enqueue('w')
      await reach(job.id, 'failed')
      await queue.pause('q')
      await app.retry(job)
      expect(await app.cancel(job)).toBe(true)
      expect(await reach(job.id, 'cancelled')).toMatchObject({ claims: 1, round: 1 })
      expect((await app.port('events').runs.get(job.runId))?.status).toBe('cancelled')
    }),
  )

  it(
    'cancels an active job: its signal aborts and its slot is free when the handler ends',
    test(async ({ kernel, reach }) => {
      const reasons: unknown[] = []
      const app = await kernel([
        queueWorker(async ({ data }, { signal }) => {
          if (data !== 'runs') return
          await new Promise((resolve) => signal.addEventListener('abort', resolve))
          reasons.push((signal.reason as QueueError).code)
        }),
      ])
      const job = await app.enqueue('w', 'runs')
      const next = await app.enqueue('w', 'next')
      await reach(job.id, 'active')
      expect(await app.cancel(job, { reason: 'changed my mind' })).toBe(true)
      expect(await reach(job.id, 'cancelled')).toMatchObject({ claims: 1 })
      await reach(next.id, 'completed')
      expect(reasons).toEqual(['JOB_CANCELLED'])
      expect(await typesOf(app, job.runId)).toEqual(['step.started', 'step.cancelled'])
    }),
  )

  it(
    'routes the jobs of a queue to the workers of their names',
    test(async ({ kernel, reach }) => {
      const ran: string[] = []
      const at = (name: string): WorkerInput => ({
        id: name,
        config: { queue: 'q' },
        handler: (job: { name: string }) => void ran.push(`${name} ran ${job.name}`),
      })
      const app = await kernel([at('a'), at('b')], { workerWait: 0 })
      for (const id of ['a', 'b', 'a']) await reach((await app.enqueue(id)).id, 'completed')
      const unknown = await app.enqueue({ queue: 'q', name: 'c' }, null, { attempts: 3 })
      const failed = await reach(unknown.id, 'failed')
      expect(failed).toMatchObject({ error: { code: 'WORKER_UNKNOWN' }, claims: 1 })
      expect(ran).toEqual(['a ran a', 'b ran b', 'a ran a'])
    }),
  )

  it(
    'adds an id once, even if a batch contains it twice',
    test(async ({ kernel, queue }) => {
      const app = await kernel([queueWorker(() => {})])
      await queue.pause('q')
      const receipts = await app.enqueueMany([
        { worker: 'w', data: 1, options: { id: 'a' } },
        { worker: 'w', data: 2, options: { id: 'a' } },
        { worker: 'w', data: 3 },
      ])
      expect(receipts.map(({ deduplicated }) => deduplicated)).toEqual([false, true, false])
      expect(receipts[0]?.runId).toBe(receipts[1]?.runId)
      expect(await queue.getJobCounts('q')).toMatchObject({ waiting: 2 })
    }),
  )

  it(
    'enqueues no job of a batch if one is rejected',
    test(async ({ kernel, queue }) => {
      const app = await kernel([queueWorker(() => {})])
      const call = (): Promise<unknown> =>
        app.enqueueMany([{ worker: 'w' }, { worker: 'w', options: { attempts: 0 } }, { worker: 'w' }])
      expect(await codeOf(call)).toBe('OPTION_INVALID')
      expect(await codeOf(() => app.enqueueMany([{ worker: 'w' }, { worker: 'nobody' }]))).toBe('WORKER_UNKNOWN')
      expect(await queue.getJobs()).toEqual([])
    }),
  )

  it(
    'keeps one job at a time for each concurrency key, in the order of arrival',
    test(async ({ kernel, reach }) => {
      const running = new Map<unknown, number>()
      const order: unknown[] = []
      let peak = 0
      const app = await kernel([
        queueWorker(
          async ({ data }) => {
            const { key, n } = data as { key: string; n: number }
            running.set(key, (running.get(key) ?? 0) + 1)
            peak = Math.max(peak, running.get(key)!)
            order.push(`${key}${n}`)
            for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate)
            running.set(key, running.get(key)! - 1)
          },
          { concurrency: 10 },
        ),
      ])
      const jobs = [1, 2, 3].flatMap((n) => ['x', 'y'].map((key) => ({ key, n })))
      const ids = await app.enqueueMany(
        jobs.map((data) => ({ worker: 'w', data, options: { concurrencyKey: data.key } })),
      )
      for (const { id } of ids) expect((await reach(id, 'completed')).claims).toBeLessThanOrEqual(2)
      expect(peak).toBe(1)
      expect(order.filter((one) => String(one).startsWith('x'))).toEqual(['x1', 'x2', 'x3'])
    }),
  )

  it(
    'starts no more jobs in a span of time than the rate limit allows',
    test(async ({ kernel, reach, now }) => {
      const starts: number[] = []
      const config = { concurrency: 10, rateLimit: { max: 2, duration: 60 } }
      const app = await kernel([queueWorker(() => void starts.push(now()), config)])
      const began = now()
      const ids = await app.enqueueMany(Array.from({ length: 6 }, () => ({ worker: 'w' })))
      for (const { id } of ids) await reach(id, 'completed')
      // A handler may begin late after its start was allowed, so its start is compared with the first moment at which one could be allowed.
      expect(starts.every((at, index) => at - began >= Math.floor(index / 2) * 60 - 5)).toBe(true)
    }),
  )

  it(
    'waits for a running job when it closes, or returns it to the queue',
    test(async ({ kernel, reach, get, until }) => {
      const gate = Promise.withResolvers<void>()
      const app = await kernel([
        queueWorker(async () => {
          await gate.promise
          return 'done'
        }),
      ])
      const job = await app.enqueue('w')
      await reach(job.id, 'active')
      const closing = app.close({ timeout: 60_000 })
      gate.resolve()
      expect(await closing).toEqual({ aborted: [] })
      expect(await get(job.id)).toMatchObject({ state: 'completed', result: 'done' })
      expect(await codeOf(() => app.enqueue('w'))).toBe('KERNEL_CLOSED')

      const begun = Promise.withResolvers<void>()
      const second = await kernel([
        queueWorker(async (_job, { signal }) => {
          begun.resolve()
          await new Promise((resolve) => signal.addEventListener('abort', resolve))
          throw new Error('told to stop')
        }),
      ])
      const given = await second.enqueue('w')
      await begun.promise
      const { aborted } = await second.close({ timeout: 20 })
      expect(aborted.map(({ id }) => id)).toEqual([given.id])
      await until('the job is returned to the queue', async () => (await get(given.id)).state === 'waiting')
      expect(await get(given.id)).toMatchObject({ attemptsMade: 0, claims: 1 })
    }),
  )
}
