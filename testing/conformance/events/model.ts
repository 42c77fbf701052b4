import { expect, it } from 'vitest'
import type { AppendOptions, AppendResult, EventDraft, RunInfo, StoredEvent } from '../../../kernel/index.ts'
import { createLocalEvents } from '../../../plugins/adapters/lib/local-events/store.ts'
import { seeded } from '../random.ts'
import type { EventsTest } from './rig.ts'

interface Append {
  stream: string
  events: EventDraft[]
  options: AppendOptions
}

const KEYS = ['end:j', 'k1', 'k2']
const STATUSES = ['running', 'completed', 'failed'] as const

/** Returns a random append of a runner, a flow or a user. About half of them are rejected. */
function anyAppend(random: () => number): Append {
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!
  const maybe = <T>(share: number, value: () => T): T | undefined => (random() < share ? value() : undefined)
  const events = Array.from({ length: Math.floor(random() * 4) }, (_, index) => ({
    type: `t${index}`,
    key: maybe(0.4, () => pick(KEYS)),
    data: maybe(0.5, () => index),
  }))
  const status = maybe(0.5, () => pick(STATUSES))
  return {
    stream: pick(['one', 'two']),
    events,
    options: {
      unless: maybe(0.6, () => pick(KEYS)),
      fence: maybe(0.7, () => ({ job: pick(['j', 'other']), token: 1 + Math.floor(random() * 3) })),
      expectedSeq: maybe(0.1, () => Math.floor(random() * 4)),
      reopen: maybe(0.3, () => true),
      run: maybe(0.6, () => ({
        status,
        name: maybe(0.5, () => pick(['n', 'm'])),
        queue: maybe(0.3, () => 'q'),
        tags: maybe(0.3, () => pick([[], ['t'], ['u', 't', 'u']])),
      })),
    },
  }
}

/** Returns a result without timestamps, which differ between stores. */
const timeless = (result: AppendResult): object =>
  result.ok ? { ...result, events: result.events.map(withoutTime) } : result
const withoutTime = (event: StoredEvent): object => ({ ...event, ts: 0 })
const withoutTimes = (info: RunInfo | undefined): object | undefined =>
  info && { ...info, startedAt: 0, updatedAt: 0, endedAt: info.endedAt === undefined ? undefined : 0 }

/** Compares the store with a simple model that handles one append after the other. */
export function modelTests(test: EventsTest): void {
  it(
    'handles simultaneous appends as if they were made one after the other',
    test(async ({ events }) => {
      const silent = { warn: () => {}, error: () => {} }
      const host = {
        clock: { now: () => 0, setTimeout: () => () => {} },
        config: { payloadLimit: 1e6 },
        reporter: silent,
      }
      for (let seed = 1; seed <= 25; seed++) {
        const random = seeded(seed)
        const { store: model } = createLocalEvents(host as never, { durable: false })
        const appends = Array.from({ length: 12 }, () => anyAppend(random))
        const name = (stream: string): string => `${seed}-${stream}`
        const sent = appends.map(async ({ stream, ...rest }) => events.append(name(stream), rest.events, rest.options))
        const expected: AppendResult[] = []
        for (const { stream, ...rest } of appends)
          expected.push(await model.append(name(stream), rest.events, rest.options))
        expect((await Promise.all(sent)).map(timeless)).toEqual(expected.map(timeless))
        for (const stream of ['one', 'two'].map(name)) {
          expect((await events.read(stream)).map(withoutTime)).toEqual((await model.read(stream)).map(withoutTime))
          expect(withoutTimes(await events.runs.get(stream))).toEqual(withoutTimes(await model.runs.get(stream)))
        }
      }
    }),
  )
}
