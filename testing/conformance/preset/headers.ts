import { expect, it } from 'vitest'
import type { Job } from '../../../kernel/index.ts'
import { codeOf } from '../harness.ts'
import { entry, step, undo } from './flow-workers.ts'
import type { PresetTest } from './rig.ts'

/** Tests the headers of jobs: text that travels with a job and with its flow. */
export function headerTests(test: PresetTest): void {
  it(
    'passes headers to each attempt, to the dead letter and back, and uses those of the newest call of a window',
    test(async ({ kernel, start, reach }) => {
      const seen: [name: string, data: unknown, headers: Job['headers']][] = []
      const see = ({ name, data, headers }: Job): void => void seen.push([name, data, headers])
      kernel.hook('enqueue', ({ job }, next) => {
        if (job.name === 'w') job.headers = { ...job.headers, hook: 'on' }
        return next()
      })
      await start({
        w: [
          { attempts: 2, deadLetter: 'dead' },
          (job) => {
            see(job)
            throw new Error('no')
          },
        ],
        once: [{ debounce: { period: 200 } }, see],
        bare: see,
      })
      const headers = {
        traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
        'tenant.id': 'ä"\\',
        nq: '',
      }
      const job = await kernel.enqueue('w', 1, { headers })
      const all = { ...headers, hook: 'on' }
      expect((await reach(job, 'failed')).headers).toEqual(all)
      expect(seen).toEqual([
        ['w', 1, all],
        ['w', 1, all],
      ])
      const [moved] = await kernel.redrive('dead')
      expect((await reach(moved!.job, 'failed')).headers).toEqual(all)

      seen.length = 0
      const queue = kernel.port('queue')
      await queue.pause('once')
      const first = await kernel.enqueue('once', 1, { headers: { call: '1' } })
      await kernel.enqueueMany([{ worker: 'once', data: 2, options: { headers: { call: '2' } } }])
      await queue.resume('once')
      await reach(first, 'completed')
      const bare = await kernel.enqueue('bare', 3, { headers: {} })
      expect((await reach(bare, 'completed')).headers).toBeUndefined()
      expect(seen).toEqual([
        ['once', 2, { call: '2' }],
        ['bare', 3, {}],
      ])

      const refused = [{ 'a b': '' }, { '': 'x' }, { n: 1 }, { n: 'a\0' }, ['a'], 'text', { long: 'x'.repeat(8192) }]
      const many = Object.fromEntries(Array.from({ length: 33 }, (_, index) => [`h${index}`, '']))
      for (const bad of [...refused, many]) {
        expect(await codeOf(() => kernel.enqueue('bare', 1, { headers: bad as never }))).toBe('OPTION_INVALID')
      }
    }),
  )

  it(
    'gives all jobs of a run, its child runs and its forks the headers of its start',
    test(async ({ kernel, start, event }) => {
      const seen: Record<string, Job['headers']> = {}
      const see = ({ name, headers }: Job): void => void (seen[name] = headers)
      await start({
        begin: entry(async (job, ctx) => {
          see(job)
          await ctx.flow.emit('one', 1)
          await ctx.flow.emit('two', 2)
        }),
        each: step({ subscribes: 'one' }, see),
        joined: step({ subscribes: ['one', 'two'] }, async (job, ctx) => {
          see(job)
          await ctx.flow.start('child', 1, { wait: true })
          await ctx.flow.emit('three')
        }),
        last: step({ subscribes: 'three', onError: 'compensate' }, (job) => {
          see(job)
          throw new Error('undo')
        }),
        undone: undo('each', see),
        inner: [{ flow: { name: 'child', role: 'entry' } }, see],
      })
      const headers = { tenant: 'acme' }
      const { runId } = await kernel.flow('f').start(null, { headers })
      expect((await event(runId, 'end')).type).toBe('flow.failed')
      const names = ['begin', 'each', 'joined', 'inner', 'last', 'undone']
      expect(seen).toEqual(Object.fromEntries(names.map((name) => [name, headers])))
      delete seen.last
      const { runId: fork } = await kernel.flow('f').rerunFrom(runId, 'last')
      expect((await event(fork, 'end')).type).toBe('flow.failed')
      expect(seen.last).toEqual(headers)
    }),
  )
}
