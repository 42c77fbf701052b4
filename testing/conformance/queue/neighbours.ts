import { expect, it } from 'vitest'
import { BAD_MOMENTS } from '../hostile.ts'
import { completed, type QueueTest } from './rig.ts'

const MOMENTS = BAD_MOMENTS.filter((moment) => typeof moment === 'number')

/** An invalid job must not affect the jobs that are stored with it. */
export function neighbourTests(test: QueueTest): void {
  it(
    'runs a job again whose due time is invalid, without an effect on other jobs',
    test(async ({ add, work, reach, now, reports }) => {
      const claims = await work(
        ({ job }) => {
          const moment = job.data as number | undefined
          if (moment === undefined || job.claims > 1) return completed()
          if (job.id.startsWith('retry')) {
            return { type: 'retry', error: { name: 'Error', message: 'boom' }, runAt: moment }
          }
          return { type: 'defer', runAt: moment }
        },
        { concurrency: 10 },
      )
      const innocent: string[] = []
      const start = now()
      for (const [index, moment] of MOMENTS.entries()) {
        await add({ id: `defer-${index}`, data: moment })
        await add({ id: `retry-${index}`, data: moment })
        innocent.push((await add()).id)
      }
      for (const id of innocent) await reach(id, 'completed')
      for (const index of MOMENTS.keys()) {
        for (const kind of ['defer', 'retry'])
          expect(await reach(`${kind}-${index}`, 'completed')).toMatchObject({ claims: 2 })
      }
      // It does not run forever, and there is a pause between its runs.
      const again = claims.filter(({ job }) => job.claims > 1)
      expect(again.every(({ at }) => at - start >= 100)).toBe(true)
      expect(claims.filter(({ job }) => innocent.includes(job.id))).toHaveLength(MOMENTS.length)
      expect(reports).not.toHaveLength(0)
    }),
  )

  it(
    'rejects a job with an invalid id, moment or priority, and stores the others',
    test(async ({ queue, draft }) => {
      const bad = [
        draft({ id: 7 as unknown as string }),
        draft({ runAt: NaN }),
        draft({ createdAt: Infinity }),
        draft({ priority: NaN }),
      ]
      const outcomes = await Promise.allSettled(
        bad.flatMap((one, index) => [one, draft({ id: `good-${index}` })]).map(async (one) => queue.enqueue(one)),
      )
      expect(outcomes.map(({ status }) => status)).toEqual(bad.flatMap(() => ['rejected', 'fulfilled']))
      expect(await queue.getJobCounts('q')).toMatchObject({ waiting: bad.length, delayed: 0 })
    }),
  )

  it(
    'finds jobs at a large offset over several states, and none after the end',
    test(async ({ queue, draft, now }) => {
      const start = now()
      const late = (index: number): number => (index % 3 === 0 ? start + 3_600_000 : start + index)
      const jobs = Array.from({ length: 450 }, (_, index) =>
        draft({ id: `j${index}`, createdAt: start + index, runAt: late(index), priority: index % 2 }),
      )
      await queue.pause('q')
      await queue.enqueueMany(jobs.map((job) => (job.runAt > start + 1000 ? job : { ...job, runAt: job.createdAt })))
      const ids = async (offset: number, limit?: number): Promise<string[]> =>
        (await queue.getJobs({ queue: 'q', offset, limit })).map(({ id }) => id)
      for (const offset of [0, 199, 250, 440]) {
        expect(await ids(offset, 7)).toEqual(jobs.slice(offset, offset + 7).map(({ id }) => id))
      }
      expect(await ids(9e15)).toEqual([])
      expect(await queue.getJobs({ name: 'work', offset: 9e15 })).toEqual([])
    }),
  )
}
