import { expect, it } from 'vitest'
import { codeOf } from '../harness.ts'
import { SUPPORTED_VALUES } from '../travels.ts'
import type { EventsTest } from './rig.ts'

/** Tests reads and snapshots. */
export function readTests(test: EventsTest): void {
  it(
    'reads a range of a stream',
    test(async ({ append, events, seqs }) => {
      await append('r', 'a b c d e f')
      expect(await seqs('r')).toEqual([1, 2, 3, 4, 5, 6])
      expect(await seqs('r', { after: 4 })).toEqual([5, 6])
      expect(await seqs('r', { until: 2 })).toEqual([1, 2])
      expect(await seqs('r', { after: 2, until: 4 })).toEqual([3, 4])
      expect(await seqs('r', { limit: 2 })).toEqual([1, 2])
      expect(await seqs('r', { limit: 0 })).toEqual([])
      expect(await seqs('r', { after: 6 })).toEqual([])
      expect(await seqs('r', { after: 99, until: 3 })).toEqual([])
      expect(await seqs('r', { until: 99 })).toEqual([1, 2, 3, 4, 5, 6])
      expect(await seqs('r', { until: 0 })).toEqual([])
      expect(await events.read('nothing')).toEqual([])
    }),
  )

  it(
    'reads backwards',
    test(async ({ append, seqs }) => {
      await append('r', 'a b c d e f')
      expect(await seqs('r', { reverse: true })).toEqual([6, 5, 4, 3, 2, 1])
      expect(await seqs('r', { reverse: true, limit: 2 })).toEqual([6, 5])
      expect(await seqs('r', { reverse: true, after: 2, until: 4 })).toEqual([4, 3])
    }),
  )

  it(
    'reads and counts only the requested types',
    test(async ({ append, seqs }) => {
      await append('r', 'a b a b c a')
      expect(await seqs('r', { types: ['a', 'c'] })).toEqual([1, 3, 5, 6])
      expect(await seqs('r', { types: ['a'], limit: 2 })).toEqual([1, 3])
      expect(await seqs('r', { types: ['b'], reverse: true, limit: 1 })).toEqual([4])
      expect(await seqs('r', { types: [] })).toEqual([])
      expect(await seqs('r', { types: ['z'] })).toEqual([])
    }),
  )

  it(
    'reads up to a moment, inclusively',
    test(async ({ append, events, seqs, elapse }) => {
      await append('r', 'a b')
      await elapse(20)
      await append('r', 'c')
      await elapse(20)
      await append('r', 'd')
      const [first, , third, fourth] = (await events.read('r')).map(({ ts }) => ts)
      expect(await seqs('r', { until: new Date(third!) })).toEqual([1, 2, 3])
      expect(await seqs('r', { until: new Date(third! - 1) })).toEqual([1, 2])
      expect(await seqs('r', { until: new Date(first! - 1) })).toEqual([])
      expect(await seqs('r', { until: new Date(fourth! + 1000), after: 1 })).toEqual([2, 3, 4])
      expect(await seqs('r', { until: new Date(third!), reverse: true, limit: 1 })).toEqual([3])
    }),
  )

  for (const [what, data] of Object.entries(SUPPORTED_VALUES)) {
    it(
      `stores ${what} unchanged`,
      test(async ({ append, events }) => {
        await append('r', [{ type: 't', data, key: 'k' }])
        expect((await events.read('r'))[0]?.data).toStrictEqual(data)
        expect((await events.byKey('r', 'k'))?.data).toStrictEqual(data)
        await events.snapshots.put('r', { reducer: 'x@1', seq: 1, state: { data } })
        expect((await events.snapshots.get('r', 'x@1'))?.state).toStrictEqual({ data })
      }),
    )
  }

  it(
    'keeps events independent of changes to drafts and to read events',
    test(async ({ append, events }) => {
      const data = { list: [1] }
      const draft = { type: 't', data, key: 'k' }
      await append('r', [draft])
      data.list.push(2)
      draft.type = 'changed'
      for (const event of [...(await events.read('r')), (await events.byKey('r', 'k'))!]) {
        ;(event.data as typeof data).list.push(3)
        Object.assign(event, { type: 'changed', seq: 99 })
      }
      expect(await events.read('r')).toMatchObject([{ seq: 1, type: 't', data: { list: [1] } }])
    }),
  )

  for (const name of ['__proto__', 'constructor', 'toString', 'ünï😀', 'a:b/c d\\e', '%s ${x} {y}', 'x'.repeat(200)]) {
    it(
      `takes "${name.slice(0, 20)}" as the name of a stream, a type, a key, a job and a reducer`,
      test(async ({ append, events, follow, until }) => {
        const follower = await follow(name)
        const run = { status: 'running' as const, name, queue: name, flow: name, jobId: name, tags: [name] }
        const event = { type: name, key: name, flow: name, step: name, stepId: name }
        await append(name, [event], { fence: { job: name, token: 2 }, run })
        expect(await append(name, 'a', { fence: { job: name, token: 1 } })).toMatchObject({ reason: 'fence' })
        expect(await append(name, 'a', { unless: name })).toMatchObject({ reason: 'unless' })
        expect(await events.read(name, { types: [name] })).toMatchObject([
          { ...event, seq: 1, runId: name, id: `${name}:1` },
        ])
        expect(await events.byKey(name, name)).toMatchObject(event)
        expect(await events.runs.list({ name, queue: name, flow: name, tag: name })).toMatchObject([
          { ...run, runId: name },
        ])
        await events.snapshots.put(name, { reducer: name, seq: 1, state: { [name]: 1 } })
        expect(await events.snapshots.get(name, name)).toEqual({ reducer: name, seq: 1, state: { [name]: 1 } })
        await until('the follower has it', () => follower.events.length === 1)
        expect(await events.head(`${name}x`)).toBe(0)
        await append(name, [], { run: { status: 'completed' } })
        expect(await events.expire({ outcome: 'completed', endedBefore: 0, keep: 0 })).toBe(1)
        expect(await events.byKey(name, name)).toBeUndefined()
      }),
    )
  }

  it(
    'finds the newest snapshot of a reducer, or the newest up to a seq, in whatever order they were stored',
    test(async ({ append, events }) => {
      await append('r', 'a b c d e')
      const put = (reducer: string, seq: number): unknown => events.snapshots.put('r', { reducer, seq, state: { seq } })
      await put('x@1', 2)
      await put('x@1', 4)
      await put('x@1', 3)
      await put('x@2', 1)
      const get = async (reducer: string, until?: number): Promise<number | undefined> =>
        (await events.snapshots.get('r', reducer, until))?.seq
      expect(await get('x@1')).toBe(4)
      expect(await get('x@1', 4)).toBe(4)
      expect(await get('x@1', 3)).toBe(3)
      expect(await get('x@1', 2)).toBe(2)
      expect(await get('x@1', 1)).toBeUndefined()
      expect(await get('x@2')).toBe(1)
      expect(await get('y')).toBeUndefined()
      expect(await events.snapshots.get('nothing', 'x@1')).toBeUndefined()
    }),
  )

  it(
    'keeps snapshots independent of changes by the caller',
    test(async ({ append, events }) => {
      await append('r', 'a')
      const state = { list: [1] }
      await events.snapshots.put('r', { reducer: 'x@1', seq: 1, state })
      state.list.push(2)
      const first = await events.snapshots.get('r', 'x@1')
      ;(first!.state as typeof state).list.push(3)
      expect((await events.snapshots.get('r', 'x@1'))?.state).toEqual({ list: [1] })
    }),
  )

  it(
    'drops events only behind a snapshot',
    test(async ({ append, events, seqs }) => {
      await append('r', 'a:ka b c d e')
      expect(await codeOf(() => events.trim('r', 3))).toBe('EVENTS_CONFLICT')
      await events.snapshots.put('r', { reducer: 'x@1', seq: 3, state: {} })
      expect(await codeOf(() => events.trim('r', 4))).toBe('EVENTS_CONFLICT')
      await events.trim('r', 3)
      await events.trim('r', 2)
      expect(await seqs('r', { after: 3 })).toEqual([4, 5])
      expect(await seqs('r', { after: 3, reverse: true })).toEqual([5, 4])
      expect(await events.head('r')).toBe(5)
      expect(await events.snapshots.get('r', 'x@1')).toMatchObject({ seq: 3 })
    }),
  )

  it(
    'rejects reads of dropped events, and keeps rejecting their keys',
    test(async ({ append, events, follow, until }) => {
      await append('r', 'a:ka b c d')
      await events.snapshots.put('r', { reducer: 'x@1', seq: 3, state: {} })
      await events.trim('r', 3)
      expect(await codeOf(() => events.read('r'))).toBe('EVENTS_TRIMMED')
      expect(await codeOf(() => events.read('r', { after: 2 }))).toBe('EVENTS_TRIMMED')
      await expect((async () => events.read('r'))()).rejects.toMatchObject({ details: { trimmed: 3 } })
      expect(await codeOf(() => follow('r', { after: 2 }))).toBe('EVENTS_TRIMMED')
      expect(await append('r', 'again:ka new:kn')).toMatchObject({
        ok: true,
        head: 5,
        events: [{ type: 'new', seq: 5 }],
      })
      expect(await append('r', 'x', { unless: 'ka' })).toMatchObject({ ok: false, reason: 'unless' })
      const follower = await follow('r', { after: 3 })
      await until('both are replayed', () => follower.events.length === 2)
      expect(follower.seqs()).toEqual([4, 5])
    }),
  )
}
