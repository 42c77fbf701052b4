import { expect, it } from 'vitest'
import type { AppendOptions, EventDraft, RunPatch } from '../../../kernel/index.ts'
import { BAD_COUNTS, BAD_TEXTS } from '../hostile.ts'
import { hostileRounds, picker } from '../random.ts'
import type { EventsTest } from './rig.ts'

interface Append {
  stream: string
  events: EventDraft[]
  options: AppendOptions
}

/** Returns an append that a store may reject, completely or in part. */
function hostileAppend(name: string, random: () => number): Append {
  const pick = picker(random)
  const text = pick(BAD_TEXTS) as string
  const count = pick(BAD_COUNTS) as number
  const good: Append = { stream: name, events: [{ type: 'a' }, { type: 'b' }], options: {} }
  const run: RunPatch = { status: 'completed', name: 'n' }
  return pick<Append>([
    { ...good, stream: text },
    { ...good, events: [{ type: 'a', key: text }] },
    { ...good, events: [{ type: text }] },
    { ...good, events: [{ type: 'a', step: text, flow: text, stepId: text }] },
    { ...good, events: [{ type: 'a', attempt: count }] },
    { ...good, events: [{ type: 'a', data: () => {} }] },
    { ...good, options: { unless: text } },
    { ...good, options: { fence: { job: text, token: 1 } } },
    { ...good, options: { fence: { job: 'j', token: count } } },
    { ...good, options: { expectedSeq: count } },
    { ...good, options: { run: { ...run, tags: [text] } } },
    { ...good, options: { run: { ...run, flow: text } } },
    { ...good, options: { run: { ...run, queue: text, jobId: text } } },
    { ...good, options: { run: { ...run, status: text as never } } },
  ])
}

/** Simultaneous appends share a call to the store, but must not affect each other. */
export function hostileTests(test: EventsTest): void {
  it(
    'stores valid appends next to rejected ones, completely and in order',
    test(async ({ events, append }) => {
      for (const [round, random] of hostileRounds()) {
        const sent = Array.from({ length: 24 }, async (_, index) => {
          if (random() < 0.3) {
            const { stream, events: drafts, options } = hostileAppend(`bad-${round}-${index}`, random)
            await append(stream, drafts, options).catch(() => {})
            return []
          }
          const stream = `good-${round}-${index}`
          const status = random() < 0.5 ? 'completed' : 'running'
          const first = append(stream, 'begins:k', { run: { status: 'running', name: 'n' } })
          const rest = append(stream, 'goes:l ends', { run: { status, tags: ['t'] }, fence: { job: 'j', token: 1 } })
          return [await first, await rest].map((result) => [stream, result.ok, result.head])
        })
        const results = (await Promise.all(sent)).flat()
        const streams = results.map(([stream]) => stream as string)
        expect(results).toEqual(streams.map((stream, index) => [stream, true, index % 2 === 0 ? 1 : 3]))
        for (const stream of new Set(streams)) {
          expect((await events.read(stream)).map(({ type }) => type)).toEqual(['begins', 'goes', 'ends'])
        }
      }
    }),
  )
}
