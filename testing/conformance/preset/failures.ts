import { expect, it } from 'vitest'
import type { PresetTest } from './rig.ts'

/** Tests what runs after a job has failed permanently. */
export function presetFailureTests(test: PresetTest): void {
  it(
    'calls onFailure once for each job that has failed permanently, although its first call fails and a store was away',
    test(async ({ kernel, start, reach, until }) => {
      const calls: unknown[] = []
      const failures: unknown[] = []
      let refused = 0
      kernel.hook('enqueue', ({ job }, next) => {
        if (job.queue.startsWith('_failures/') && refused++ === 0) throw new Error('The connection broke.')
        return next()
      })
      await start({
        charge: [
          {
            attempts: 2,
            onFailure: async ({ job, error, ctx }) => {
              calls.push(ctx.attempt)
              await ctx.step.run('notify', () =>
                failures.push([job.id, job.data, job.attempt, job.tags, error.message]),
              )
              if (ctx.attempt === 1) throw new Error('once more')
            },
          },
          ({ data, attempt }) => {
            if (data !== 'paid') throw new Error(`declined ${attempt}`)
          },
        ],
      })
      const failing = await kernel.enqueue('charge', 'unpaid', { tags: ['order:7'] })
      const paid = await kernel.enqueue('charge', 'paid')
      await reach(failing, 'failed')
      await reach(paid, 'completed')
      const [failure] = await until('onFailure has completed', async () => {
        const jobs = await kernel.port('queue').getJobs({ queue: '_failures/charge' })
        return jobs.every(({ state }) => state === 'completed') && jobs.length > 0 && jobs
      })
      expect(failure).toMatchObject({ name: 'charge', tags: ['order:7'] })
      expect([calls, refused]).toEqual([[1, 2], 2])
      expect(failures).toEqual([[failing.id, 'unpaid', 2, ['order:7'], 'declined 2']])
    }),
  )
}
