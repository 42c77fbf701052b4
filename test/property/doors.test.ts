import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createTestKernel, type TestKernel } from '../../testing/index.ts'
import { badCount, badDuration, badMoment, badPriority, badText, CASES } from './hostile.ts'

type Door = (test: TestKernel, bad: unknown) => Promise<unknown>
interface Attack {
  name: string
  door: Door
  bad: fc.Arbitrary<unknown>
}

const option =
  (name: string): Door =>
  ({ kernel }, bad) =>
    kernel.enqueue('good', 'bad', { [name]: bad })

/** Runs a handler that does something hostile, and returns the outcome of its job. */
const within =
  (act: (ctx: never, bad: never) => unknown): Door =>
  async ({ kernel }, bad) => {
    const id = kernel.newId()
    await kernel.registerWorker({
      id,
      config: { queue: 'shared' },
      handler: (_job, ctx) => act(ctx as never, bad as never) as object,
    })
    return kernel.result(await kernel.enqueue(id))
  }

const notEmpty = badText.filter((bad) => bad !== '')

const ATTACKS: readonly Attack[] = [
  ...['id', 'runId', 'concurrencyKey', 'rateLimitKey', 'deadLetter'].map((name) => ({
    name,
    door: option(name),
    bad: badText,
  })),
  ...['delay', 'timeout', 'ageing', 'backoff'].map((name) => ({
    name,
    door: option(name),
    bad: badDuration.filter((bad) => !isObject(bad)),
  })),
  { name: 'attempts', door: option('attempts'), bad: badCount },
  { name: 'priority', door: option('priority'), bad: badPriority },
  {
    name: 'a debounce key',
    door: ({ kernel }, bad) => kernel.enqueue('good', 'bad', { debounce: { delay: 5, key: bad } } as never),
    bad: notEmpty.filter((bad) => typeof bad !== 'function'),
  },
  { name: 'a target', door: ({ kernel }, bad) => kernel.enqueue(bad as never, 'bad' as never), bad: badText },
  {
    name: 'a queue',
    door: ({ kernel }, bad) => kernel.enqueue({ queue: bad, name: 'good' } as never, 'bad' as never),
    bad: badText,
  },
  {
    name: 'a name',
    door: ({ kernel }, bad) => kernel.enqueue({ queue: 'shared', name: bad } as never, 'bad' as never),
    bad: notEmpty,
  },
  {
    name: 'one of many',
    door: ({ kernel }, bad) =>
      kernel.enqueueMany([
        { worker: 'good', data: 'bad' },
        { worker: 'good', data: 'bad', options: { id: bad } as never },
      ]),
    bad: badText,
  },
  {
    name: 'the id of a run',
    door: ({ kernel }, bad) => kernel.flow('f').start('bad', { id: bad } as never),
    bad: badText,
  },
  {
    name: 'a tag',
    door: ({ kernel }, bad) => kernel.flow('f').start('bad', { tags: ['a', bad] } as never),
    bad: badText,
  },
  { name: 'an event', door: ({ kernel }, bad) => kernel.sendEvent(bad as never), bad: badText },
  {
    name: 'the id of an event',
    door: ({ kernel }, bad) => kernel.sendEvent('e', 1, { id: bad } as never),
    bad: badText,
  },
  {
    name: 'the key of an event',
    door: ({ kernel }, bad) => kernel.sendEvent('e', 1, { key: bad } as never),
    bad: notEmpty,
  },
  {
    name: 'a worker',
    door: ({ kernel }, bad) => kernel.registerWorker({ id: bad, handler: () => 1 } as never),
    bad: badText,
  },
  {
    name: 'concurrency',
    door: ({ kernel }, bad) =>
      kernel.registerWorker({ id: 'w', config: { concurrency: bad }, handler: () => 1 } as never),
    bad: badCount,
  },
  {
    name: 'a rate limit',
    door: ({ kernel }, bad) =>
      kernel.registerWorker({ id: 'w', config: { rateLimit: { max: 1, duration: bad } }, handler: () => 1 } as never),
    bad: badDuration,
  },
  {
    name: 'a deferral',
    door: within((ctx: { defer(o: object): unknown }, delay) => ctx.defer({ delay })),
    bad: badDuration,
  },
  {
    name: 'a moment',
    door: within((ctx: { defer(o: object): unknown }, until) => ctx.defer({ until })),
    bad: badMoment,
  },
  {
    name: 'a type',
    door: within((ctx: { emit(t: unknown): unknown }, type) => ctx.emit(type)),
    bad: badText.filter((bad) => !isLong(bad)),
  },
  {
    name: 'a key',
    door: within((ctx: { emit(...o: unknown[]): unknown }, key) => ctx.emit('seen', 1, { key })),
    bad: badText.filter((bad) => !isLong(bad)),
  },
]

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null
}

/** Keys of events may be composed of two texts. */
function isLong(value: unknown): boolean {
  return typeof value === 'string' && Buffer.byteLength(value) > 512 && Buffer.byteLength(value) < 4000
}

const attack = fc
  .constantFrom(...ATTACKS)
  .chain(({ name, door, bad }) => fc.record({ name: fc.constant(name), door: fc.constant(door), bad }))

it('rejects hostile values in every call with a code, without an effect on valid calls', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(attack, { minLength: 1, maxLength: 10 }), async (attacks) => {
      const ran: unknown[] = []
      await using test = await createTestKernel({
        workers: {
          good: { config: { queue: 'shared', concurrency: 3 }, handler: ({ data }) => (ran.push(data), data) },
          entry: { config: { flow: { name: 'f', role: 'entry' } }, handler: ({ data }) => (ran.push(data), data) },
        },
      })
      const { kernel } = test
      const before = kernel.registry.workers.map(({ id }) => id)
      for (const [index, { name, door, bad }] of attacks.entries()) {
        const innocent = kernel.enqueue('good', index)
        const outcome = await door(test, bad).then(
          () => 'accepted',
          (error: { code?: string }) => error.code,
        )
        expect([name, bad, outcome]).toEqual([
          name,
          bad,
          expect.stringMatching(/^(?:(?:OPTION|WORKER)_(?:INVALID|UNKNOWN)|NAME_RESERVED)$/),
        ])
        expect(await kernel.result(await innocent)).toBe(index)
      }
      const run = await kernel.flow('f').start('flow')
      expect(await kernel.flow('f').result(run.runId)).toBe('flow')
      expect(ran).toEqual([...attacks.keys(), 'flow'])
      expect(kernel.registry.workers.map(({ id }) => id).filter((id) => !id.startsWith('id-'))).toEqual(before)
      expect(test.reports).toEqual([])
    }),
    { numRuns: Math.ceil(CASES / 5) },
  )
})
