import { expect, it } from 'vitest'
import type { RunContext } from '../../../kernel/index.ts'
import type { PresetTest } from './rig.ts'

type Wait = Parameters<RunContext['step']['wait']>[1]

/** Tests sub-steps, which run once, and waits inside a handler. */
export function subStepTests(test: PresetTest): void {
  it(
    'sleeps without occupying a process, and continues at the same point',
    test(async ({ kernel, start, reach, events, now }) => {
      const calls: string[] = []
      await start({
        work: async (_job, ctx) => {
          const one = await ctx.step.run('one', () => calls.push('one'))
          await ctx.step.sleep('nap', 100)
          const two = await ctx.step.run('two', () => calls.push('two'))
          return { one, two, attempt: ctx.attempt }
        },
      })
      const begun = now()
      const job = await kernel.enqueue('work')
      expect((await reach(job, 'completed')).result).toEqual({ one: 1, two: 2, attempt: 1 })
      expect(now() - begun).toBeGreaterThanOrEqual(100)
      expect(calls).toEqual(['one', 'two'])
      // On a machine that stalls for the whole sleep, the attempt goes on without being suspended.
      const types = (await events(job.runId)).map(({ type }) => type)
      const count = (type: string): number => types.filter((each) => each === type).length
      expect(count('step.deferred')).toBe(count('step.started') - 1)
      expect(types.filter((type) => type !== 'step.started' && type !== 'step.deferred')).toEqual([
        'step.memo',
        'step.awaiting',
        'step.resumed',
        'step.memo',
        'step.completed',
      ])
    }),
  )

  it(
    'waits for an event by its key, or until its timeout',
    test(async ({ kernel, start, reach, until }) => {
      await start({
        work: async ({ data }, ctx) => {
          const paid = await ctx.step.waitForEvent<string>('paid', { event: 'paid', key: String(data) })
          const rated = await ctx.step.waitForEvent('rated', { event: 'rated', key: String(data), timeout: 50 })
          return { paid, rated }
        },
      })
      const jobs = await Promise.all(['a', 'b'].map((key) => kernel.enqueue('work', key)))
      for (const { runId } of jobs) {
        await until('it waits', async () =>
          (await kernel.port('events').read(runId)).some(({ type }) => type === 'step.deferred'),
        )
      }
      await kernel.sendEvent('paid', 'for b', { key: 'b' })
      expect((await reach(jobs[1]!, 'completed')).result).toEqual({ paid: 'for b', rated: undefined })
      await kernel.sendEvent('paid', 'for a', { key: 'a' })
      expect((await reach(jobs[0]!, 'completed')).result).toEqual({ paid: 'for a', rated: undefined })
    }),
  )

  it(
    'continues after the first of two waits, and after both of two waits',
    test(async ({ kernel, start, reach }) => {
      await start({
        race: (_job, ctx) =>
          Promise.race([
            ctx.step.sleep('long', 60_000).then(() => 'long'),
            ctx.step.sleep('short', 30).then(() => 'short'),
          ]),
        both: async (_job, ctx) => {
          let worked = 0
          await Promise.all([
            ctx.step.sleep('a', 600),
            ctx.step.sleep('b', 400),
            ctx.step.run('beside', () => ++worked),
          ])
          return worked
        },
      })
      expect((await reach(await kernel.enqueue('race'), 'completed')).result).toBe('short')
      expect((await reach(await kernel.enqueue('both'), 'completed')).result).toBe(0)
    }),
  )

  it(
    'rejects an invalid wait',
    test(async ({ kernel, start, reach }) => {
      const event = 'paid'
      const waits: Record<string, unknown> = {
        moment: { kind: 'sleep', until: NaN },
        name: { kind: 'event', event: '' },
        key: { kind: 'event', event, key: 7 },
        timeout: { kind: 'event', event, timeout: -1 },
        filter: { kind: 'event', event, filter: 'any' },
        kind: { kind: 'dream' },
      }
      await start({ work: ({ data }, ctx) => ctx.step.wait('it', waits[String(data)] as Wait) })
      for (const what of Object.keys(waits)) {
        const { error } = await reach(await kernel.enqueue('work', what), 'failed')
        expect({ what, code: error?.code }).toEqual({ what, code: 'WAIT_INVALID' })
      }
    }),
  )

  it(
    'does not repeat finished sub-steps in a retry, and continues waits across attempts',
    test(async ({ kernel, start, reach }) => {
      const calls: string[] = []
      await start({
        work: [
          { attempts: 3 },
          async (_job, ctx) => {
            await ctx.step.run('a', () => calls.push('a'))
            await ctx.step.sleep('nap', 10)
            await ctx.step.run('b', () => {
              calls.push('b')
              if (ctx.attempt < 3) throw new Error('not yet')
            })
            return ctx.attempt
          },
        ],
      })
      expect((await reach(await kernel.enqueue('work'), 'completed')).result).toBe(3)
      expect(calls).toEqual(['a', 'b', 'b', 'b'])
    }),
  )
}
