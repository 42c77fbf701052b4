import { expect, it } from 'vitest'
import { isDeferral } from '../../../kernel/index.ts'
import type { PresetTest } from './rig.ts'

/** Tests handlers that are suspended at a wait. Their `catch` and `finally` blocks do not run. */
export function leavingTests(test: PresetTest): void {
  it(
    'cannot swallow a wait',
    test(async ({ kernel, start, reach }) => {
      const undone: unknown[] = []
      await start({
        settled: async (_job, ctx) => {
          const all = await Promise.allSettled([ctx.step.sleep('nap', 30), ctx.step.run('pay', () => 'paid')])
          return all.map(({ status }) => status)
        },
        any: (_job, ctx) =>
          Promise.any([
            ctx.step.run('fails', () => Promise.reject(new Error('no'))),
            ctx.step.sleep('nap', 30).then(() => 'slept'),
          ]),
        caught: async (_job, ctx) => {
          try {
            return (await ctx.step.waitForEvent('approved', { event: 'approved', timeout: 30 })) ?? 'late'
          } catch (error) {
            undone.push(error)
            return 'undone'
          } finally {
            undone.push('once')
          }
        },
      })
      expect((await reach(await kernel.enqueue('settled'), 'completed')).result).toEqual(['fulfilled', 'fulfilled'])
      expect((await reach(await kernel.enqueue('any'), 'completed')).result).toBe('slept')
      expect((await reach(await kernel.enqueue('caught'), 'completed')).result).toBe('late')
      expect(undone).toEqual(['once'])
    }),
  )

  it(
    'tells dispatch hooks whether a handler succeeded, failed or waits',
    test(async ({ kernel, start, reach }) => {
      const seen: Record<string, string[]> = {}
      kernel.hook('dispatch', async (dispatch, next) => {
        const note = (outcome: string): void => void (seen[dispatch.job.name] ??= []).push(outcome)
        try {
          await next()
          note(isDeferral(dispatch.result) ? 'waits' : 'succeeded')
        } catch (error) {
          note('failed')
          throw error
        }
      })
      let deferred = 0
      await start({
        sleeps: async (_job, ctx) => ctx.step.sleep('nap', 500),
        returns: (_job, ctx) => (deferred++ === 0 ? ctx.defer({ delay: 5 }) : 'done'),
        throws: async (_job, ctx) => {
          if (ctx.claim === 1) throw ctx.defer({ delay: 5 }) as unknown
          throw new Error('broken')
        },
      })
      await reach(await kernel.enqueue('sleeps'), 'completed')
      await reach(await kernel.enqueue('returns'), 'completed')
      await reach(await kernel.enqueue('throws'), 'failed')
      expect(seen).toEqual({
        sleeps: ['waits', 'succeeded'],
        returns: ['waits', 'succeeded'],
        throws: ['waits', 'failed'],
      })
    }),
  )

  it(
    'frees the slot of a suspended handler that never settles',
    test(async ({ kernel, start, reach }) => {
      await start({
        one: [
          { concurrency: 1 },
          async ({ data }, ctx) => {
            if (data === 'waits') await ctx.step.waitForEvent('go', { event: 'go' })
            return data
          },
        ],
      })
      const waits = await kernel.enqueue('one', 'waits')
      await reach(waits, 'delayed')
      expect((await reach(await kernel.enqueue('one', 'other'), 'completed')).result).toBe('other')
      await kernel.sendEvent('go')
      expect((await reach(waits, 'completed')).result).toBe('waits')
    }),
  )

  it(
    'continues after one wait has won a race, while another wait is pending',
    test(async ({ kernel, start, reach, elapse }) => {
      await start({
        race: async (_job, ctx) => {
          const won = await Promise.race([
            ctx.step.waitForEvent('never', { event: 'never' }),
            ctx.step.sleep('short', 20).then(() => 'short'),
          ])
          return ctx.step.run('after', () => won)
        },
        inside: async (_job, ctx) => ctx.step.run('part', () => ctx.step.sleep('nap', 10)),
        unawaited: async (_job, ctx) => {
          void ctx.step.sleep('nap', 60_000)
          await elapse(1)
          return ctx.step.run('done', () => 'done')
        },
      })
      expect((await reach(await kernel.enqueue('race'), 'completed')).result).toBe('short')
      expect(await reach(await kernel.enqueue('inside'), 'failed')).toMatchObject({ error: { code: 'WAIT_INVALID' } })
    }),
  )
}
