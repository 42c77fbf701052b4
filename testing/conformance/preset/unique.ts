import { expect, it } from 'vitest'
import { codeOf } from '../harness.ts'
import type { PresetTest } from './rig.ts'

/** Tests jobs of which there is one of a key at a time. */
export function uniqueTests(test: PresetTest): void {
  it(
    'stores one job of a key while it waits or runs, whichever processes enqueue it, and replaces what a call may replace',
    test(async ({ kernel, start, reach, until, sibling, now }) => {
      const ran: unknown[] = []
      let gate = Promise.withResolvers<void>()
      const key = (data: { doc: string }): string => data.doc
      await start({
        w: [
          { unique: { key } },
          async ({ data }) => {
            ran.push(data)
            await gate.promise
          },
        ],
        moved: [{ unique: { replace: ['data', 'delay'] } }, ({ data }) => data],
        done: [{ unique: { states: ['completed'], for: 600_000 } }, () => {}],
      })
      const other = await sibling()
      await kernel.port('queue').pause('w')
      const target = { queue: 'w', name: 'w' }
      const calls = Array.from({ length: 10 }, (_, n) =>
        n % 2 === 0
          ? kernel.enqueue('w', { doc: 'a', n })
          : other.enqueue(target, { doc: 'a', n }, { unique: { key: 'a' } }),
      )
      const jobs = await Promise.all(calls)
      expect([new Set(jobs.map(({ id }) => id)).size, jobs.filter(({ deduplicated }) => !deduplicated)]).toEqual([
        1,
        [expect.objectContaining({ queue: 'w' })],
      ])
      const [first] = jobs
      const batch = await kernel.enqueueMany(['a', 'b', 'b'].map((doc) => ({ worker: 'w', data: { doc } })))
      expect(batch.map(({ deduplicated }) => deduplicated)).toEqual([true, false, true])
      await kernel.cancel(batch[1]!)
      const afterCancel = await kernel.enqueue('w', { doc: 'b' })
      expect(afterCancel.deduplicated).toBe(false)
      await kernel.cancel(afterCancel)

      await kernel.port('queue').resume('w')
      await until('it runs', () => ran.length === 1)
      expect(await kernel.enqueue('w', { doc: 'a' })).toMatchObject({ id: first!.id, deduplicated: true })
      gate.resolve()
      await reach(first!, 'completed')
      gate = Promise.withResolvers<void>()
      gate.resolve()
      const next = await kernel.enqueue('w', { doc: 'a' })
      expect([next.deduplicated, next.id === first!.id]).toEqual([false, false])
      await reach(next, 'completed')

      const later = await kernel.enqueue('moved', 1, { delay: 600_000 })
      const due = now() + 300_000
      expect(await kernel.enqueue('moved', 2, { delay: new Date(due) })).toMatchObject({
        id: later.id,
        deduplicated: true,
      })
      expect((await kernel.job(later).record())?.runAt).toBe(due)
      expect(await kernel.enqueue('moved', 3)).toMatchObject({ id: later.id, runId: later.runId, deduplicated: true })
      expect((await reach(later, 'completed')).result).toBe(3)

      const done = await kernel.enqueue('done')
      await reach(done, 'completed')
      expect(await kernel.enqueue('done')).toMatchObject({ id: done.id, deduplicated: true })
      const soon = await until('the time of the first has passed', async () => {
        const again = await kernel.enqueue('done', null, { unique: { states: ['completed'], for: 1 } })
        return !again.deduplicated && again
      })
      await reach(soon, 'completed')

      const wrong = [{ id: 'x' }, { debounce: { period: 5 } }, { unique: { for: 0 } }, { unique: { states: ['gone'] } }]
      for (const options of wrong as object[]) {
        expect(await codeOf(() => kernel.enqueue('w', { doc: 'c' }, options))).toBe('OPTION_INVALID')
      }
    }),
  )

  it(
    'stores one job of a key and gives its tenant a turn, for jobs with "fairKey", also while their key is paused',
    test(async ({ kernel, start, reach, until }) => {
      const ran: unknown[] = []
      const tenant = (data: { tenant: string }): string => data.tenant
      const key = (data: { doc: string }): string => data.doc
      await start({
        fair: [
          {
            fairKey: tenant,
            unique: { key, states: ['waiting', 'delayed', 'active', 'completed'], for: 600_000, replace: ['data'] },
          },
          ({ data }) => void ran.push(data),
        ],
        debounced: [{ fairKey: tenant, debounce: { period: 50, key } }, ({ data }) => void ran.push(data)],
        throttled: [{ fairKey: tenant, throttle: { period: 600_000, key } }, ({ data }) => void ran.push(data)],
      })
      for (const worker of ['fair', 'debounced', 'throttled']) await kernel.queue(worker).pause({ key: 'a' })
      const first = await kernel.enqueue('fair', { tenant: 'a', doc: '1', n: 1 })
      expect(await kernel.enqueue('fair', { tenant: 'a', doc: '1', n: 2 })).toMatchObject({
        id: first.id,
        deduplicated: true,
      })
      const other = await kernel.enqueue('fair', { tenant: 'b', doc: '2' })
      await reach(other, 'completed')
      await until('it waits for its key', async () => (await kernel.explain(first)).reasons[0]?.code === 'key-paused')
      expect(await kernel.enqueue('fair', { tenant: 'a', doc: '1', n: 3 })).toMatchObject({
        id: first.id,
        deduplicated: true,
      })
      const debounced = await kernel.enqueue('debounced', { tenant: 'a', doc: '1', n: 1 })
      expect(await kernel.enqueue('debounced', { tenant: 'a', doc: '1', n: 2 })).toMatchObject({
        id: debounced.id,
        deduplicated: true,
      })
      const throttled = await kernel.enqueue('throttled', { tenant: 'a', doc: '1' })
      expect(await kernel.enqueue('throttled', { tenant: 'a', doc: '1' })).toMatchObject({
        id: throttled.id,
        deduplicated: true,
      })
      expect(ran).toEqual([{ tenant: 'b', doc: '2' }])

      for (const worker of ['fair', 'debounced', 'throttled']) await kernel.queue(worker).resume({ key: 'a' })
      for (const job of [first, debounced, throttled]) await reach(job, 'completed')
      expect(ran).toContainEqual({ tenant: 'a', doc: '1', n: 3 })
      expect(await kernel.enqueue('fair', { tenant: 'a', doc: '1' })).toMatchObject({
        id: first.id,
        deduplicated: true,
      })
      expect(ran).toHaveLength(4)
    }),
  )
}
