import { expect, it } from 'vitest'
import { errorOf } from '../harness.ts'
import type { EventsTest } from './rig.ts'

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index)

/** Tests which events are stored in which order, and which appends are rejected. */
export function appendTests(test: EventsTest, { rewinds }: { rewinds: boolean }): void {
  it(
    'gives the events of each stream consecutive numbers from 1',
    test(async ({ append, events }) => {
      expect(await append('r', 'a b')).toMatchObject({ ok: true, head: 2, events: [{ seq: 1 }, { seq: 2 }] })
      expect(await append('r', 'c')).toMatchObject({ ok: true, head: 3, events: [{ seq: 3, type: 'c' }] })
      expect(await append('other', 'a')).toMatchObject({ ok: true, head: 1 })
      expect(await events.head('r')).toBe(3)
      expect(await events.head('nothing')).toBe(0)
    }),
  )

  it(
    'stores the whole envelope',
    test(async ({ append, events, now }) => {
      const draft = { type: 't', data: { n: 1 }, key: 'k', flow: 'f', step: 's', stepId: 'i', attempt: 2 }
      const before = now()
      await append('r', [draft])
      const [stored] = await events.read('r')
      expect(stored).toMatchObject({ ...draft, seq: 1, id: 'r:1', runId: 'r' })
      expect(stored!.ts).toBeGreaterThanOrEqual(before)
    }),
  )

  it(
    'leaves no gap among 200 appends at once, and keeps batches together',
    test(async ({ append, events, seqs }) => {
      const results = await Promise.all(
        range(1, 200).map((n) =>
          append('r', [
            { type: 'first', data: n },
            { type: 'second', data: n },
          ]),
        ),
      )
      expect(await seqs('r')).toEqual(range(1, 400))
      const stored = await events.read('r')
      expect(stored.filter(({ type }, index) => type === (index % 2 === 0 ? 'first' : 'second'))).toHaveLength(400)
      expect(range(0, 199).every((pair) => stored[2 * pair]!.data === stored[2 * pair + 1]!.data)).toBe(true)
      const told = results.flatMap((result) => (result.ok ? result.events.map(({ seq }) => seq) : []))
      expect(told.toSorted((a, b) => a - b)).toEqual(range(1, 400))
    }),
  )

  it(
    'keeps the order of appends that are not awaited',
    test(async ({ append, events }) => {
      await Promise.all(range(1, 20).map((n) => append('r', [{ type: 't', data: n }])))
      expect((await events.read('r')).map(({ data }) => data)).toEqual(range(1, 20))
    }),
  )

  it(
    'never dates an event before the one in front of it',
    test(async ({ append, events, elapse }) => {
      await append('r', 'a')
      await elapse(5)
      await append('r', 'b c')
      const dates = (await events.read('r')).map(({ ts }) => ts)
      expect(dates).toEqual(dates.toSorted((a, b) => a - b))
      expect(dates[1]).toBe(dates[2])
    }),
  )

  const rewindTests = { can: withRewind, cannot: (): void => {} }
  rewindTests[rewinds ? 'can' : 'cannot'](test)

  it(
    'stores a key once in a stream and returns the new events',
    test(async ({ append, seqs, events }) => {
      await append('r', 'a:k')
      const result = await append('r', 'b a:k c:l d:l')
      expect(result).toMatchObject({ ok: true, head: 3 })
      expect(result.ok && result.events.map(({ type, seq }) => [type, seq])).toEqual([
        ['b', 2],
        ['c', 3],
      ])
      expect(await append('r', 'again:k')).toEqual({ ok: true, events: [], head: 3 })
      expect(await append('other', 'a:k')).toMatchObject({ ok: true, head: 1 })
      expect(await seqs('r')).toEqual([1, 2, 3])
      expect(await events.byKey('r', 'k')).toMatchObject({ seq: 1, type: 'a' })
      expect(await events.byKey('r', 'l')).toMatchObject({ seq: 3, type: 'c' })
      expect(await events.byKey('r', 'm')).toBeUndefined()
      expect(await events.byKey('nothing', 'k')).toBeUndefined()
    }),
  )

  it(
    'finds keys in a long stream',
    test(async ({ append, events }) => {
      const many = range(1, 300).map((n) => ({ type: 't', key: `k${n}` }))
      await append('r', many)
      expect(await append('r', [...many, { type: 'new', key: 'new' }])).toMatchObject({
        head: 301,
        events: [{ seq: 301 }],
      })
      expect(await events.byKey('r', 'k150')).toMatchObject({ seq: 150 })
    }),
  )

  it(
    'stores one of many simultaneous appends of the same key as the first',
    test(async ({ append, seqs }) => {
      const results = await Promise.all(range(1, 20).map(() => append('r', 'a:k', { unless: 'k' })))
      expect(results.filter(({ ok }) => ok)).toHaveLength(1)
      expect(await seqs('r')).toEqual([1])
    }),
  )

  it(
    'rejects the whole append if the stream has the key of "unless"',
    test(async ({ append, seqs }) => {
      expect(await append('r', 'a:end', { unless: 'end' })).toMatchObject({ ok: true })
      expect(await append('r', 'b c', { unless: 'end' })).toEqual({ ok: false, reason: 'unless', head: 1 })
      expect(await append('r', 'b', { unless: 'other' })).toMatchObject({ ok: true, head: 2 })
      expect(await seqs('r')).toEqual([1, 2])
    }),
  )

  it(
    'rejects an append if the head is not the expected one',
    test(async ({ append, events }) => {
      expect(await append('r', 'a b', { expectedSeq: 0 })).toMatchObject({ ok: true })
      expect(await append('r', 'c', { expectedSeq: 1 })).toEqual({ ok: false, reason: 'expectedSeq', head: 2 })
      expect(await append('r', 'c', { expectedSeq: 3 })).toEqual({ ok: false, reason: 'expectedSeq', head: 2 })
      expect(await append('r', 'c', { expectedSeq: 2 })).toMatchObject({ ok: true, head: 3 })
      expect(await append('nothing', 'a', { expectedSeq: 1 })).toMatchObject({ ok: false, head: 0 })
      expect(await events.head('nothing')).toBe(0)
    }),
  )

  it(
    'accepts one of many simultaneous appends that expect the same head',
    test(async ({ append, events }) => {
      const results = await Promise.all(range(1, 20).map(() => append('r', 'a', { expectedSeq: 0 })))
      expect(results.filter(({ ok }) => ok)).toHaveLength(1)
      expect(await events.head('r')).toBe(1)
    }),
  )

  it(
    'rejects an older fence of a job, and accepts equal and newer ones, for each job separately',
    test(async ({ append, events }) => {
      const fenced = (job: string, token: number): Promise<unknown> => append('r', 'a', { fence: { job, token } })
      expect(await fenced('x', 2)).toMatchObject({ ok: true })
      expect(await fenced('x', 1)).toEqual({ ok: false, reason: 'fence', head: 1 })
      expect(await fenced('x', 2)).toMatchObject({ ok: true })
      expect(await fenced('y', 1)).toMatchObject({ ok: true })
      expect(await fenced('z', 5)).toMatchObject({ ok: true })
      expect(await fenced('x', 3)).toMatchObject({ ok: true })
      expect(await fenced('x', 2)).toMatchObject({ ok: false })
      expect(await fenced('z', 4)).toMatchObject({ ok: false })
      expect(await fenced('y', 1)).toMatchObject({ ok: true })
      expect(await append('r', 'unfenced')).toMatchObject({ ok: true })
      expect(await append('other', 'a', { fence: { job: 'x', token: 1 } })).toMatchObject({ ok: true })
      expect(await events.head('r')).toBe(7)
    }),
  )

  it(
    'does not raise a fence with a rejected append',
    test(async ({ append }) => {
      await append('r', 'a', { fence: { job: 'x', token: 1 } })
      await append('r', 'b', { fence: { job: 'x', token: 9 }, expectedSeq: 0 })
      expect(await append('r', 'c', { fence: { job: 'x', token: 1 } })).toMatchObject({ ok: true })
    }),
  )

  it(
    'rejects events of an ended run unless they reopen it',
    test(async ({ append, events }) => {
      await append('r', 'a', { run: { status: 'running' } })
      await append('r', 'b', { run: { status: 'failed' } })
      expect(await append('r', 'c')).toEqual({ ok: false, reason: 'ended', head: 2 })
      expect(await append('r', 'c', { run: { status: 'running' } })).toMatchObject({ ok: false, reason: 'ended' })
      expect(await append('r', 'c', { reopen: true })).toMatchObject({ ok: true, head: 3 })
      expect(await events.runs.get('r')).toMatchObject({ status: 'running', endedAt: undefined })
      expect(await append('r', 'd')).toMatchObject({ ok: true, head: 4 })
    }),
  )

  it(
    'returns the first reason for a rejection: key, end of the run, fence, expected head',
    test(async ({ append }) => {
      await append('r', 'a:k', { fence: { job: 'x', token: 2 }, run: { status: 'completed' } })
      const fence = { job: 'x', token: 1 }
      const reasonOf = async (options: Parameters<typeof append>[2]): Promise<unknown> => {
        const result = await append('r', 'b', options)
        return result.ok || result.reason
      }
      expect(await reasonOf({ unless: 'k', fence, expectedSeq: 9 })).toBe('unless')
      expect(await reasonOf({ fence, expectedSeq: 9 })).toBe('ended')
      expect(await reasonOf({ fence, expectedSeq: 9, reopen: true })).toBe('fence')
      expect(await reasonOf({ expectedSeq: 9, reopen: true })).toBe('expectedSeq')
    }),
  )

  it(
    'stores nothing of a batch with a value that is too large or cannot be serialized',
    test(async ({ append, events }) => {
      const bad = [{ type: 'a' }, { type: 'b', data: { run() {} } }]
      expect(await errorOf(() => append('r', bad))).toMatchObject({
        code: 'VALUE_UNSUPPORTED',
        details: { path: ['run'] },
      })
      const large = [{ type: 'a' }, { type: 'b', data: 'x'.repeat(2 * 1024 * 1024) }]
      expect((await errorOf(() => append('r', large)))?.code).toBe('PAYLOAD_TOO_LARGE')
      expect(await events.head('r')).toBe(0)
      expect(await events.runs.get('r')).toBeUndefined()
      expect(await append('r', 'c')).toMatchObject({ head: 1 })
    }),
  )

  it(
    'takes an append without events, which may change the run',
    test(async ({ append, events }) => {
      await append('r', 'a', { run: { name: 'before' } })
      expect(await append('r', [], { run: { name: 'after' } })).toEqual({ ok: true, events: [], head: 1 })
      expect(await events.runs.get('r')).toMatchObject({ name: 'after', head: 1 })
    }),
  )
}

function withRewind(test: EventsTest): void {
  it(
    'never dates an event before the one in front of it, although the clock goes back',
    test(async ({ append, events, rewind }) => {
      const dated = async (): Promise<number[]> => (await events.read('r')).map(({ ts }) => ts)
      await append('r', 'a')
      rewind(60_000)
      await append('r', 'b')
      const [first, second] = await dated()
      expect(second).toBeGreaterThanOrEqual(first!)
      await events.snapshots.put('r', { reducer: 'x@1', seq: 2, state: {} })
      await events.trim('r', 2)
      await append('r', 'c')
      const [third] = (await events.read('r', { after: 2 })).map(({ ts }) => ts)
      expect(third).toBeGreaterThanOrEqual(first!)
    }),
  )
}
