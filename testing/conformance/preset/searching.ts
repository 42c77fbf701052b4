import { expect, it } from 'vitest'
import type { EnqueueOptions, JobSearch } from '../../../kernel/index.ts'
import { codeOf } from '../harness.ts'
import type { PresetTest } from './rig.ts'

const LONG = 'x'.repeat(513)

/** Tests the tags of jobs, and the search of jobs. */
export function presetSearchTests(test: PresetTest): void {
  it(
    'keeps tags of enqueue, of the worker and of a hook through retries, dead letters and redrive, and finds jobs by them',
    test(async ({ kernel, start, reach, until }) => {
      kernel.hook('enqueue', ({ job }, next) => {
        if (job.name === 'w') job.tags = [...(job.tags ?? []), 'hooked', 'mine']
        return next()
      })
      const seen: (readonly string[])[] = []
      let broken = true
      await start({
        w: [
          { tags: ['team'], deadLetter: 'dead' },
          ({ tags }) => {
            seen.push(tags)
            if (broken) throw new Error('The printer is on fire.')
          },
        ],
        plain: ({ tags }) => tags,
        entry: [{ flow: { name: 'order', role: 'entry' } }, ({ tags }) => tags],
      })
      const all = ['team', 'mine', 'hooked']
      const [job, plain] = await kernel.enqueueMany([
        { worker: 'w', data: { customer: { id: 7 } }, options: { tags: ['mine', 'mine'] } },
        { worker: 'plain', options: { tags: [] } },
      ])
      expect((await reach(job!, 'failed')).tags).toEqual(all)
      const found = async (search: JobSearch): Promise<string[]> =>
        (await kernel.findJobs(search)).jobs.map(({ queue, id }) => `${queue} ${id}`)
      const failed = { tag: 'team', states: ['failed'], error: 'on FIRE', data: { 'customer.id': 7 } } as const
      expect(await found(failed)).toEqual([`w ${job!.id}`])
      expect(await kernel.countJobs(failed)).toMatchObject({ counts: { failed: 1, completed: 0 }, truncated: false })
      const runs = kernel.port('events').runs
      expect((await runs.get(job!.runId))?.tags?.toSorted()).toEqual(all.toSorted())
      expect((await runs.list({ tag: 'hooked' })).map(({ runId }) => runId)).toEqual([job!.runId])

      await kernel.retry(job!)
      const letters = await until('the job has failed twice', async () => {
        const { jobs } = await kernel.findJobs({ queue: 'dead', tag: 'mine' })
        return jobs.length === 2 && jobs
      })
      expect(letters.map(({ tags }) => tags)).toEqual([all, all])
      expect(seen).toEqual([all, all])
      broken = false
      for (const moved of await kernel.redrive('dead')) expect((await reach(moved.job, 'completed')).tags).toEqual(all)
      expect(seen).toEqual([all, all, all, all])
      expect(await found({ queue: 'dead' })).toEqual([])

      expect((await reach(plain!, 'completed')).result).toEqual([])
      expect((await runs.get(plain!.runId))?.tags).toBeUndefined()
      const order = await kernel.flow('order').start(null, { tags: ['customer:7'] })
      expect(await kernel.flow('order').result(order.runId)).toEqual(['customer:7'])
      expect((await runs.get(order.runId))?.tags).toEqual(['customer:7'])
      expect(await found({ tag: 'customer:7' })).toEqual([`entry ${order.id}`])
      const waiting = await kernel.enqueue('plain', null, { delay: 60_000, tags: ['gone'] })
      await kernel.cancel(waiting)
      expect((await runs.get(waiting.runId))?.tags).toEqual(['gone'])

      for (const tags of [['a', ''], [LONG], ['\0'], Array(101).fill('a'), 'a', [7], null] as unknown[]) {
        expect(await codeOf(() => kernel.enqueue('plain', null, { tags } as EnqueueOptions))).toBe('OPTION_INVALID')
      }
      const invalid: unknown[] = [
        ...[{ limit: 0 }, { limit: 1001 }, { limit: 1.5 }, { offset: 1 }, { tag: '' }, { tag: LONG }, { queue: '' }],
        ...[
          { states: ['lost'] },
          { states: 'failed' },
          { error: '' },
          { createdAfter: -1 },
          { createdBefore: Number.NaN },
        ],
        ...[
          { after: 7 },
          { after: 'none' },
          { data: [] },
          { data: { a: {} } },
          { data: { '': 1 } },
          { data: { a: LONG + LONG + LONG } },
        ],
      ]
      for (const search of invalid) {
        expect([search, await codeOf(() => kernel.findJobs(search as JobSearch))]).toEqual([search, 'OPTION_INVALID'])
      }
      expect(await codeOf(() => kernel.countJobs({ limit: 1 } as object))).toBe('OPTION_INVALID')
    }),
  )
}
