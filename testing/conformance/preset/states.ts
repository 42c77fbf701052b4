import { expect, it } from 'vitest'
import type { RunState } from '../../../plugins/context/state/index.ts'
import type { PresetTest } from './rig.ts'

interface Moment {
  seq: number
  at: number
  state: object
}

/** Tests state that is derived from events, at present and at earlier moments. */
export function stateTests(test: PresetTest): void {
  it(
    'returns the state of a run at any seq and any moment',
    test(async ({ kernel, start, reach, now }) => {
      const moments: Moment[] = []
      const changes: ((state: RunState) => Promise<unknown>)[] = [
        (state) => state.set('a', { list: [1] }),
        (state) => state.setBatch({ b: 2, at: new Date(0) }),
        (state) => state.update('b', (b) => Number(b) + 1),
        (state) => state.delete('a'),
        (state) => state.set('__proto__', 'safe'),
      ]
      await start({
        async w(_job, ctx) {
          const change = changes[ctx.claim - 1]
          if (!change) return 'done'
          await change(ctx.state)
          const seq = await kernel.port('events').head(ctx.runId)
          moments.push({ seq, at: now(), state: await ctx.state.getAll() })
          return ctx.defer({ delay: 20 })
        },
      })
      const job = await kernel.enqueue('w')
      await reach(job, 'completed')
      expect(moments).toHaveLength(changes.length)
      for (const { seq, at, state } of moments) {
        expect(await kernel.state(job.runId, { at: seq })).toEqual(state)
        expect(await kernel.state(job.runId, { at: new Date(at + 1) })).toEqual(state)
      }
      expect(await kernel.state(job.runId)).toEqual(moments.at(-1)!.state)
      expect(await kernel.state(job.runId, { at: 0 })).toEqual({})
      expect(await kernel.state(job.runId, { at: new Date(moments[0]!.at - 60_000) })).toEqual({})
      expect(Object.keys(moments.at(-1)!.state).toSorted()).toEqual(['__proto__', 'at', 'b'])
    }),
  )

  it(
    'loses no update of a key that steps change at the same time',
    test(async ({ kernel, start, event }) => {
      const add = { flow: { name: 'f', role: 'step', subscribes: 'add' }, concurrency: 10 } as const
      await start({
        split: [
          { flow: { name: 'f', role: 'entry' } },
          async (_job, ctx) => {
            for (let n = 0; n < 20; n++) await ctx.flow.emit('add')
          },
        ],
        add: [add, (_job, ctx) => ctx.state.update('count', (count) => Number(count ?? 0) + 1)],
      })
      const { runId } = await kernel.flow('f').start()
      expect((await event(runId, 'end')).type).toBe('flow.completed')
      expect(await kernel.state(runId)).toEqual({ count: 20 })
    }),
  )

  it(
    'isolates state from changes to read values, and from other runs',
    test(async ({ kernel, start, reach }) => {
      await start({
        async w({ data }, { state }) {
          const value = { list: [data] }
          await state.set('v', value)
          value.list.push('changed')
          const read = (await state.get('v')) as typeof value
          read.list.push('changed')
          return state.get('v')
        },
      })
      const jobs = await kernel.enqueueMany(['a', 'b'].map((data) => ({ worker: 'w', data })))
      for (const [index, data] of ['a', 'b'].entries()) {
        expect((await reach(jobs[index]!, 'completed')).result).toEqual({ list: [data] })
        expect(await kernel.state(jobs[index]!.runId)).toEqual({ v: { list: [data] } })
      }
    }),
  )

  it(
    'keeps the state that a failed attempt has written for the next attempt',
    test(async ({ kernel, start, reach }) => {
      await start({
        async w(_job, { state, attempt }) {
          const seen = await state.get('tries')
          await state.set('tries', attempt)
          if (attempt === 1) throw new Error('once')
          return seen
        },
      })
      const job = await kernel.enqueue('w', null, { attempts: 2 })
      expect((await reach(job, 'completed')).result).toBe(1)
    }),
  )
}
