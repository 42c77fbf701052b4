import { expect, it } from 'vitest'
import type { EnqueuedJob } from '../../../kernel/index.ts'
import { codeOf } from '../harness.ts'
import type { PresetTest } from './rig.ts'

const noCounts = { done: 0, skipped: 0, failed: 0, truncated: false }

/** Tests actions on all jobs that match a filter. */
export function bulkTests(test: PresetTest): void {
  it(
    'retries, cancels, promotes, removes and redrives all jobs that match, and reports the result',
    test(async ({ kernel, start, reach, until, now }) => {
      let broken = true
      await start({
        w: [
          { deadLetter: 'dead', concurrency: 5 },
          () => {
            if (broken) throw new Error('The printer is on fire.')
          },
        ],
        entry: [{ queue: 'w', flow: { name: 'order', role: 'entry' } }, () => Promise.reject(new Error('on fire'))],
        idle: () => {},
      })
      const add = (id: string): Promise<EnqueuedJob> => kernel.enqueue('w', null, { id, tags: ['mine'] })
      const jobs = await Promise.all(['a', 'b', 'c'].map(add))
      const other = await kernel.enqueue('w')
      const run = await kernel.flow('order').start(null)
      for (const job of [...jobs, other, run]) await reach(job, 'failed')

      expect(await codeOf(() => kernel.bulk('retry', { queue: '_flow' }))).toBe('NAME_RESERVED')
      expect(await codeOf(() => kernel.bulk('retry', { states: ['waiting'] }))).toBe('OPTION_INVALID')
      expect(await codeOf(() => kernel.bulk('redrive', {}))).toBe('OPTION_INVALID')
      expect(await codeOf(() => kernel.bulkReport('none'))).toBe('BULK_UNKNOWN')
      expect(await kernel.countBulk('retry', { queue: 'w' })).toMatchObject({ counts: { failed: 5 } })

      const retried = await (await kernel.bulk('retry', { tag: 'mine' }, { id: 'once', limit: 2 })).ended()
      expect(retried).toMatchObject({ id: 'once', status: 'completed', total: 3, matched: 2, done: 2, truncated: true })
      for (const { id } of jobs)
        await until(`${id} has failed`, async () => (await kernel.job({ queue: 'w', id }).state()) === 'failed')
      const rounds = await Promise.all(jobs.map(async (job) => (await job.record())?.round))
      expect(rounds.toSorted((a, b) => Number(a) - Number(b))).toEqual([0, 1, 1])
      expect(await (await kernel.bulk('retry', {}, { id: 'once' })).ended()).toEqual(retried)

      const all = await (await kernel.bulk('retry', { error: 'ON FIRE', states: ['failed', 'completed'] })).ended()
      expect(all).toMatchObject({ ...noCounts, matched: 5, done: 4, skipped: 1 })
      expect(all.reasons).toMatchObject([{ code: 'JOB_STATE', count: 1, job: { queue: 'w', id: run.id } }])
      for (const job of [...jobs, other]) {
        await until('it has failed again', async () => {
          const record = await job.record()
          return record?.state === 'failed' && record.round > 0
        })
      }

      broken = false
      const letters = await until('each end has its letter', async () => {
        const found = await kernel.port('queue').getJobs({ queue: 'dead' })
        return found.length === 4 + 2 + 4 && found
      })
      const moved = await (await kernel.bulk('redrive', { queue: 'dead', tag: 'mine' })).ended()
      expect(moved).toMatchObject({ ...noCounts, matched: 8, done: 8 })
      expect(letters).toHaveLength(10)
      expect(await kernel.port('queue').getJobs({ queue: 'dead' })).toHaveLength(2)

      const far = new Date(now() + 3_600_000)
      const delayed = await Promise.all([1, 2].map((data) => kernel.enqueue('idle', data, { delay: far })))
      await kernel.port('queue').pause('idle')
      const promoted = await (await kernel.bulk('promote', { queue: 'idle' })).ended()
      expect(promoted).toMatchObject({ ...noCounts, matched: 2, done: 2 })
      const cancelled = await (await kernel.bulk('cancel', { queue: 'idle' }, { reason: 'not needed' })).ended()
      expect(cancelled).toMatchObject({ ...noCounts, matched: 2, done: 2 })
      expect(await Promise.all(delayed.map((job) => job.state()))).toEqual(['cancelled', 'cancelled'])
      const removed = await (await kernel.bulk('remove', { queue: 'idle' })).ended()
      expect(removed).toMatchObject({ ...noCounts, matched: 2, done: 2 })
      expect(await kernel.countBulk('remove', { queue: 'idle' })).toMatchObject({ counts: { cancelled: 0 } })

      const reports = await kernel.bulkReports()
      expect(reports.map(({ action }) => action)).toEqual(['remove', 'cancel', 'promote', 'redrive', 'retry', 'retry'])
      expect(reports.at(-1)).toEqual(retried)
    }),
  )

  it(
    'acts on each job once even if its worker fails before and after each write, and stops on request',
    test(async ({ kernel, start, sibling, reach, until }) => {
      await start({ w: () => Promise.reject(new Error('no')) })
      const jobs = await kernel.enqueueMany(Array.from({ length: 12 }, (_, data) => ({ worker: 'w', data })))
      await until('all have failed', async () => (await kernel.port('queue').getJobCounts('w')).failed === 12)
      const lost = new Set(['_bulk.started', '_bulk.selected', '_bulk.acted', '_bulk.ended'])
      // The write fails the first time: before it is stored, or after it.
      const stop = kernel.hook('emit', async ({ events }, next) => {
        const first = events.find(({ type }) => lost.delete(type))?.type
        if (first !== undefined && first !== '_bulk.ended') throw new Error(`${first} is lost`)
        await next()
        if (first === '_bulk.ended') throw new Error('The answer is lost')
      })
      const bulk = await kernel.bulk('retry', { queue: 'w' })
      // Failed attempts wait, so the time of the test has to pass.
      await reach({ queue: '_bulk', id: bulk.id }, 'completed')
      const report = await bulk.report()
      stop()
      expect(lost.size).toBe(0)
      expect(report).toMatchObject({ ...noCounts, status: 'completed', total: 12, matched: 12, done: 12 })
      await until('all have failed again', async () => (await kernel.port('queue').getJobCounts('w')).failed === 12)
      expect((await Promise.all(jobs.map((job) => job.record()))).map((job) => job?.round)).toEqual(jobs.map(() => 1))
      expect(await (await sibling()).bulkReport(report.id)).toEqual(report)

      await kernel.port('queue').pause('_bulk')
      const aborted = await kernel.bulk('remove', { queue: 'w' })
      expect(await aborted.report()).toMatchObject({ ...noCounts, status: 'waiting', matched: 0 })
      expect(await aborted.abort()).toBe(true)
      expect((await aborted.report()).status).toBe('aborting')
      await kernel.port('queue').resume('_bulk')
      expect(await aborted.ended()).toMatchObject({ ...noCounts, status: 'aborted', matched: 0 })
      expect(await aborted.abort()).toBe(false)
      expect((await kernel.port('queue').getJobCounts('w')).failed).toBe(12)
    }),
  )
}
