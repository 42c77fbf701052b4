import { expect, it } from 'vitest'
import { z } from 'zod'
import { codeOf } from '../harness.ts'
import type { PresetTest } from './rig.ts'

/** Tests what operators do with single jobs: retry with other data, duplicate, reschedule. */
export function jobActionTests(test: PresetTest): void {
  it(
    'retries and duplicates jobs with data that their schema accepts, and reschedules them',
    test(async ({ kernel, start, reach, now }) => {
      const input = z.object({ to: z.email() })
      const seen: unknown[] = []
      await start({
        mail: [
          { input, tags: ['team'], attempts: 2, debounce: { period: 1 } },
          ({ data, tags, attempts }) => {
            seen.push(data)
            throw Object.assign(new Error(`${tags.join()} ${attempts}`), { retryable: false })
          },
        ],
        plain: [{ input, throttle: { period: 3_600_000, limit: 1 } }, ({ data }) => data],
        entry: [{ flow: { name: 'order', role: 'entry' } }, () => {}],
      })
      await kernel.port('queue').pause('plain')
      const first = await kernel.enqueue('plain', { to: 'a@example.com' }, { priority: 3, tags: ['mine'] })
      expect(await codeOf(() => kernel.duplicate(first, { data: { to: 7 } }))).toBe('VALIDATION_FAILED')
      const copy = await kernel.job(first).duplicate({ data: { to: 'b@example.com' }, delay: 3_600_000 })
      expect(copy).toMatchObject({ queue: 'plain', name: 'plain', deduplicated: false })
      expect(await copy.record()).toMatchObject({ state: 'delayed', priority: 3, tags: ['mine'], round: 0 })
      const [named, again] = [await first.duplicate({ id: 'named' }), await first.duplicate({ id: 'named' })]
      expect([named.deduplicated, again.deduplicated, again.runId === named.runId]).toEqual([false, true, true])
      expect(await named.record()).toMatchObject({ data: { to: 'a@example.com' } })

      expect(await codeOf(() => copy.reschedule({ delay: -1 }))).toBe('OPTION_INVALID')
      expect(await copy.reschedule({ delay: 0 })).toBe(true)
      expect(await first.reschedule({ delay: new Date(now() + 7_200_000) })).toBe(true)
      await kernel.port('queue').resume('plain')
      expect((await reach(copy, 'completed')).result).toEqual({ to: 'b@example.com' })
      expect((await reach(named, 'completed')).result).toEqual({ to: 'a@example.com' })
      expect(await copy.reschedule({ delay: 0 })).toBe(false)
      expect(await first.state()).toBe('delayed')
      expect(await codeOf(() => kernel.reschedule({ queue: 'plain', id: 'none' }, { delay: 1 }))).toBe('JOB_NOT_FOUND')

      const held = await kernel.enqueue('mail', { to: 'a@example.com' })
      await reach(held, 'failed')
      expect(await codeOf(() => held.retry({ data: { to: 'b@example.com' } }))).toBe('JOB_STATE')
      const failing = await held.duplicate()
      expect((await reach(failing, 'failed')).error?.message).toBe('team 2')
      expect(await codeOf(() => failing.retry({ data: 'no address' }))).toBe('VALIDATION_FAILED')
      await failing.retry({ data: { to: 'c@example.com' } })
      await expect(kernel.result(failing)).rejects.toThrow('team 2')
      await reach(failing, 'failed')
      expect(seen).toEqual(['a', 'a', 'c'].map((who) => ({ to: `${who}@example.com` })))
      expect(await failing.record()).toMatchObject({ round: 1, state: 'failed', tags: ['team'] })

      const run = await kernel.flow('order').start(null)
      await reach(run, 'completed')
      expect(await codeOf(() => kernel.duplicate(run))).toBe('JOB_STATE')
    }),
  )
}
