import { expect, it } from 'vitest'
import type { EventCapability } from '../../../kernel/index.ts'
import { codeOf } from '../harness.ts'
import type { EventsTest } from './rig.ts'

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index)

/** Tests subscriptions to streams, and messages that are not stored. */
export function subscribeTests(test: EventsTest, capabilities: Readonly<Record<EventCapability, boolean>>): void {
  it(
    'delivers new events of a stream',
    test(async ({ append, follow, until }) => {
      await append('r', 'a b')
      const follower = await follow('r')
      await append('other', 'x')
      await append('r', 'c d')
      await append('r', 'e')
      await until('the last one arrives', () => follower.events.at(-1)?.type === 'e')
      expect(follower.events.map(({ type, seq, runId }) => [type, seq, runId])).toEqual([
        ['c', 3, 'r'],
        ['d', 4, 'r'],
        ['e', 5, 'r'],
      ])
    }),
  )

  it(
    'replays from a cursor and then follows',
    test(async ({ append, follow, until }) => {
      await append('r', 'a b c')
      const all = await follow('r', { after: 0 })
      const some = await follow('r', { after: 2 })
      const later = await follow('r', { after: 3 })
      const early = await follow('later', { after: 0 })
      await append('r', 'd')
      await append('later', 'a')
      const everywhere = (): boolean => [all, some, later, early].every(({ events }) => events.length > 0)
      await until('all have something', () => everywhere() && all.events.length === 4 && some.events.length === 2)
      expect([all, some, later, early].map((one) => one.seqs())).toEqual([[1, 2, 3, 4], [3, 4], [4], [1]])
    }),
  )

  it(
    'rejects a subscription from a value that is neither a seq nor a cursor',
    test(async ({ append, events, follow, seqs }) => {
      await append('r', 'a b')
      for (const after of ['rubbish', '', ' ', '-1', '1.5', '0x1', '9'.repeat(40), NaN, Infinity, -1, 1.5, 1e300]) {
        expect([after, await codeOf(() => events.subscribe('r', { after }, () => {}))]).toEqual([
          after,
          'OPTION_INVALID',
        ])
      }
      const code = capabilities.globalCursor ? 'OPTION_INVALID' : 'OPTION_UNSUPPORTED'
      for (const after of ['rubbish', '', 'NaN.0.0', 'a.b.c']) {
        expect([after, await codeOf(() => events.subscribe('*', { after }, () => {}))]).toEqual([after, code])
      }
      const follower = await follow('r', { after: '1' })
      expect(await seqs('r')).toEqual([1, 2])
      follower.stop()
    }),
  )

  it(
    'delivers without gap or duplicate to subscribers that join during appends',
    test(async ({ append, follow, until }) => {
      const appending: Promise<unknown>[] = []
      const followers = []
      for (const n of range(1, 50)) {
        appending.push(append('r', 'a b'))
        followers.push(follow('r', { after: n % 5 }))
        if (n % 10 === 0) await Promise.all(appending)
      }
      await Promise.all(appending)
      const opened = await Promise.all(followers)
      await until('all have the last one', () => opened.every(({ events }) => events.at(-1)?.seq === 100))
      for (const [index, follower] of opened.entries()) {
        expect(follower.seqs()).toEqual(range(((index + 1) % 5) + 1, 100))
      }
    }),
  )

  it(
    'misses no event when other subscribers join while events are in flight',
    test(async ({ append, follow, until }) => {
      const streams = range(1, 40).map((n) => `r${n}`)
      const first = await Promise.all(streams.map((stream) => follow(stream)))
      for (const _round of range(1, 5)) {
        const appended = streams.map((stream) => append(stream, 'a'))
        const others = streams.map((stream) => follow(stream, { after: 0 }))
        await Promise.all([...appended, ...others])
      }
      await until('all have the last one', () => first.every(({ events }) => events.at(-1)?.seq === 5))
      for (const follower of first) expect(follower.seqs()).toEqual(range(1, 5))
    }),
  )

  it(
    'receives nothing after it has unsubscribed, twice or inside a listener',
    test(async ({ append, events, follow, until }) => {
      const left = await follow('r', { after: 0 })
      const stays = await follow('r')
      left.stop()
      left.stop()
      const once: number[] = []
      const stop = await events.subscribe('r', {}, (batch) => {
        once.push(...batch.map(({ seq }) => seq))
        stop()
      })
      await append('r', 'a')
      await until('the first one arrives', () => stays.events.length === 1 && once.length === 1)
      await append('r', 'b')
      await until('the second one arrives', () => stays.events.length === 2)
      expect([left.seqs(), once]).toEqual([[], [1]])
    }),
  )

  it(
    'delivers nothing after another listener has unsubscribed it, not even events in flight',
    test(async ({ append, events, until }) => {
      const heard: boolean[] = []
      let left = false
      let leave: () => void = () => {}
      await events.subscribe('r', {}, () => {
        left = true
        leave()
      })
      leave = await events.subscribe('r', {}, () => void heard.push(left))
      await append('r', 'a')
      await append('r', 'b')
      await until('the first one has heard', () => left)
      expect(heard).not.toContain(true)
    }),
  )

  it(
    'reports a listener that throws, without an effect on appends or other listeners',
    test(async ({ append, events, follow, until, reports }) => {
      await events.subscribe('r', {}, () => {
        throw new Error('bad listener')
      })
      const other = await follow('r')
      expect(await append('r', 'a')).toMatchObject({ ok: true })
      expect(await append('r', 'b')).toMatchObject({ ok: true })
      await until('the other has both', () => other.events.length === 2)
      await until('the failure is reported', () => reports.length > 0)
      expect(reports[0]).toMatchObject({ level: 'error', detail: { message: 'bad listener' } })
    }),
  )

  it(
    'notifies no subscriber of appends that stored nothing',
    test(async ({ append, follow, until }) => {
      const follower = await follow('r')
      await append('r', 'a:k')
      await append('r', 'again:k')
      await append('r', 'b', { unless: 'k' })
      await append('r', 'c again:k')
      await until('the last one arrives', () => follower.events.at(-1)?.type === 'c')
      expect(follower.seqs()).toEqual([1, 2])
    }),
  )

  it(
    'delivers the events of every stream to "*", each stream in order',
    test(async ({ append, follow, until }) => {
      const follower = await follow('*')
      await append('one', 'a')
      await append('two', 'b c')
      await append('one', 'd')
      await until('all arrive', () => follower.events.length === 4)
      const of = (stream: string): string[] =>
        follower.events.filter(({ runId }) => runId === stream).map(({ type, seq }) => `${type}${seq}`)
      expect([of('one'), of('two')]).toEqual([
        ['a1', 'd2'],
        ['b1', 'c2'],
      ])
    }),
  )

  it(
    'sends messages to current subscribers and does not store them',
    test(async ({ append, events, follow, until }) => {
      await events.publish('r', [{ type: 'lost' }])
      const follower = await follow('r', { after: 0 })
      const other = await follow('other')
      const all = await follow('*')
      await events.publish('r', [{ type: 'm', data: { n: 1 } }, { type: 'n' }])
      await append('r', 'a')
      await until('they arrive', () => follower.messages.length === 2 && follower.events.length === 1)
      await until('they arrive at "*"', () => all.messages.length === 2)
      expect(follower.messages).toMatchObject([{ type: 'm', data: { n: 1 } }, { type: 'n' }])
      expect(other.messages).toEqual([])
      expect(await events.head('r')).toBe(1)
      follower.stop()
      await events.publish('r', [{ type: 'late' }])
      await until('"*" has it', () => all.messages.length === 3)
      expect(follower.messages).toHaveLength(2)
    }),
  )

  it(
    'reports a receiver of messages that throws, without an effect on others',
    test(async ({ events, follow, until, reports }) => {
      const bad = (): never => {
        throw new Error('bad receiver')
      }
      await events.subscribe('r', { onMessage: bad }, () => {})
      const other = await follow('r')
      await events.publish('r', [{ type: 'm' }])
      await until('the other has it', () => other.messages.length === 1)
      await until('the failure is reported', () => reports.length > 0)
      expect(reports[0]).toMatchObject({ detail: { message: 'bad receiver' } })
    }),
  )

  const cursorTests = { declared: withCursor, undeclared: withoutCursor }
  cursorTests[capabilities.globalCursor ? 'declared' : 'undeclared'](test)
}

function withCursor(test: EventsTest): void {
  it.each([
    'rubbish',
    '',
    '-1',
    '1e9',
    '{}x',
    '9'.repeat(40),
    `${'9'.repeat(30)}.1.1`,
    '1.1.4294967296',
    'x'.repeat(5_000),
  ])('rejects an invalid cursor of "*": %s', async (after) =>
    test(async ({ follow }) => {
      expect(await codeOf(() => follow('*', { after }))).toBe('OPTION_INVALID')
    })(),
  )

  it(
    'replays every stream from a cursor of "*" and then follows',
    test(async ({ append, follow, until }) => {
      const first = await follow('*')
      await append('one', 'a')
      await until('the first one arrives', () => first.events.length === 1)
      const cursor = first.cursors.at(-1)
      expect(typeof cursor).toBe('string')
      first.stop()
      await append('two', 'b')
      await append('one', 'c')
      const second = await follow('*', { after: cursor })
      await append('three', 'd')
      await until('the rest arrives', () => second.events.some(({ type }) => type === 'd'))
      expect(second.events.map(({ type }) => type).toSorted()).toEqual(['b', 'c', 'd'])
    }),
  )

  it(
    'replays thousands of runs from a cursor of "*", each event once and the events of each run in order',
    test(async ({ append, follow, until }) => {
      const first = await follow('*')
      await append('first', 'a')
      await until('the first one arrives', () => first.events.length === 1)
      first.stop()
      // Half of the runs begin and end in one append, the others event by event, and all at the same time.
      const runs = Array.from({ length: 800 }, async (_, n) => {
        const run = { status: 'completed', name: 'n' } as const
        if (n % 2 === 0) return void (await append(`r${n}`, 'a b c', { run }))
        await append(`r${n}`, 'a', { run: { name: 'n' } })
        await append(`r${n}`, 'b c', { run })
      })
      await Promise.all(runs)
      const second = await follow('*', { after: first.cursors.at(-1) })
      await append('last', 'z')
      await until('the last one arrives', () => second.events.some(({ type }) => type === 'z'))
      const seen = Map.groupBy(second.events, ({ runId }) => runId)
      expect(seen.size).toBe(801)
      seen.delete('last')
      for (const events of seen.values())
        expect(events.map(({ type, seq }) => `${type}${seq}`)).toEqual(['a1', 'b2', 'c3'])
    }),
  )
}

function withoutCursor(test: EventsTest): void {
  it(
    'rejects a cursor of "*", which it does not declare',
    test(async ({ follow }) => {
      expect(await codeOf(() => follow('*', { after: '0' }))).toBe('OPTION_UNSUPPORTED')
    }),
  )
}
