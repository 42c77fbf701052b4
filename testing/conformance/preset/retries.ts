import { expect, it } from 'vitest'
import { UnrecoverableError } from '../../../kernel/index.ts'
import type { PresetTest } from './rig.ts'

/** Tests which errors end a job, and how its worker chooses the wait before the next attempt. */
export function retryTests(test: PresetTest): void {
  it(
    'lets errors and their workers decide whether and when a job runs again',
    test(async ({ kernel, start, reach, reports, types }) => {
      const asked: unknown[] = []
      const steps: number[] = []
      const foreign = (message: string): Error => Object.assign(new Error(message), { name: 'UnrecoverableError' })
      await start({
        own: [
          { attempts: 3 },
          () => {
            throw new UnrecoverableError('own')
          },
        ],
        foreign: [
          { attempts: 3 },
          (_job, ctx) =>
            ctx.step.run(
              'charge',
              ({ attempt }) => {
                steps.push(attempt)
                throw foreign('foreign')
              },
              { attempts: 3 },
            ),
        ],
        chosen: [
          {
            attempts: 9,
            backoff: (attempt, error) => {
              asked.push([attempt, error.message])
              if (attempt === 2) return Number.NaN
              if (attempt === 3) throw new Error('broken')
              return attempt > 3 ? false : 2
            },
          },
          ({ attempt }) => {
            throw new Error(`try ${attempt}`)
          },
        ],
      })
      const own = await kernel.enqueue('own')
      const step = await kernel.enqueue('foreign')
      const chosen = await kernel.enqueue('chosen')
      const delayed = await kernel.enqueue('chosen', null, { backoff: 60_000 })
      expect((await reach(own, 'failed')).error).toMatchObject({ name: 'UnrecoverableError', message: 'own' })
      expect((await reach(step, 'failed')).error).toMatchObject({ name: 'UnrecoverableError', message: 'foreign' })
      expect(steps).toEqual([1])
      const { attemptsMade, error } = await reach(chosen, 'failed')
      expect([attemptsMade, error?.message]).toEqual([4, 'try 4'])
      expect(asked).toEqual([1, 2, 3, 4].map((n) => [n, `try ${n}`]))
      expect((await types(chosen.runId)).filter((type) => type === 'step.retry')).toHaveLength(3)
      await reach(delayed, 'delayed')
      const invalid = reports.filter(({ message }) => message.includes('The result of "backoff" of worker "chosen"'))
      expect(invalid).toHaveLength(2)
    }),
  )
}
