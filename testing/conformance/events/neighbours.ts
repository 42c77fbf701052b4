import { expect, it } from 'vitest'
import type { AppendOptions } from '../../../kernel/index.ts'
import type { EventsTest } from './rig.ts'

/** Invalid options of an append. */
const BAD: readonly AppendOptions[] = [
  { run: { tags: ['a\ud800'] } },
  { run: { tags: [7 as unknown as string] } },
  { run: { tags: [{} as unknown as string] } },
  { run: { name: '\udc00' } },
  { unless: 7 as unknown as string },
  { unless: '\ud800' },
  { fence: { job: 'j', token: NaN } },
  { fence: { job: 7 as unknown as string, token: 1 } },
  { expectedSeq: NaN },
]
const BAD_KEYS: readonly unknown[] = [7, '\ud800', {}, null]

/** An invalid append must not affect the appends that are stored with it. */
export function neighbourTests(test: EventsTest): void {
  it(
    'stores valid appends completely and in order while invalid appends are rejected',
    test(async ({ events, append, seqs }) => {
      const calls: Promise<unknown>[] = []
      const innocent: string[] = []
      const beside = (call: Promise<unknown>): void => {
        const stream = `good-${innocent.length}`
        innocent.push(stream)
        calls.push(append(stream, 'a:k', { run: { name: 'good', tags: ['t'] } }), call, append(stream, 'b'))
      }
      for (const [index, options] of BAD.entries()) beside(append(`bad-${index}`, 'a', options))
      for (const [index, key] of BAD_KEYS.entries()) {
        beside(append(`bad-key-${index}`, [{ type: 'a', key: key as string }]))
      }
      const outcomes = await Promise.allSettled(calls)
      const good = outcomes.filter((_outcome, index) => index % 3 !== 1)
      expect(good.filter(({ status }) => status === 'rejected')).toEqual([])
      for (const stream of innocent) expect(await seqs(stream)).toEqual([1, 2])
      const listed = await events.runs.list({ tag: 't', limit: 1000 })
      expect(listed.map(({ runId }) => runId).toSorted()).toEqual(innocent.toSorted())
      // An append is atomic, so a stream with events has all of them.
      for (const index of BAD.keys()) {
        const stored = await events.read(`bad-${index}`)
        expect(stored).toHaveLength(
          outcomes[3 * index + 1]!.status === 'rejected' ? 0 : await events.head(`bad-${index}`),
        )
      }
    }),
  )
}
