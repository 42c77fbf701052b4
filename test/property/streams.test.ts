import fc from 'fast-check'
import { createKernel, definePlugin, type EventStore, type Kernel, type PluginKernel } from 'nuxt-queue/kernel'
import { expect, it } from 'vitest'
import eventsMemory from '../../plugins/adapters/memory/events/index.ts'
import streaming from '../../plugins/context/streaming/index.ts'

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

/** A store that responds late, and announces events some turns after they can be read. */
function behindSocket(store: EventStore, lag: number): EventStore {
  return {
    ...store,
    async head(stream) {
      await turn()
      return store.head(stream)
    },
    async read(stream, options) {
      await turn()
      const events = await store.read(stream, options)
      await turn()
      return events
    },
    subscribe(stream, options, listener) {
      let last = Promise.resolve()
      return store.subscribe(stream, options, (events) => {
        last = last.then(async () => {
          for (let turns = 0; turns < lag; turns++) await turn()
          listener(events)
        })
      })
    },
  }
}

const lagging = (lag: number) =>
  definePlugin({
    name: 'events-memory',
    setup(kernel) {
      const provide: Kernel['provide'] = (name, port) =>
        kernel.provide(name, behindSocket(port as EventStore, lag) as typeof port)
      return eventsMemory.setup(Object.assign(Object.create(kernel) as PluginKernel, { provide }), undefined)
    },
  })

const step = fc.oneof(
  fc.record({ append: fc.oneof(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 700 })) }),
  fc.record({ join: fc.oneof(fc.nat(3), fc.nat(1_000)), slow: fc.boolean() }),
  fc.record({ leave: fc.nat() }),
  fc.record({ turns: fc.integer({ min: 1, max: 6 }) }),
)

it('gives every follower the requested events, in order and once, while others join and leave', async () => {
  const steps = fc.array(step, { minLength: 5, maxLength: 40 })
  const property = fc.asyncProperty(steps, fc.constantFrom(0, 1000), fc.nat(4), async (steps, linger, lag) => {
    const kernel = await createKernel({ plugins: [lagging(lag), streaming], config: { streaming: { linger } } })
    const store = kernel.port('events')
    const followers: { after: number; seqs: number[]; leave: () => void; left: boolean }[] = []
    const joining: Promise<void>[] = []
    let head = 0

    async function join(after: number, slow: boolean): Promise<void> {
      const seqs: number[] = []
      const onEvents = (events: readonly { seq: number }[]): Promise<void> | undefined => {
        for (const { seq } of events) seqs.push(seq)
        return slow ? turn() : undefined
      }
      const leave = await kernel.streams.follow('run', { after }, { onEvents })
      followers.push({ after, seqs, leave, left: false })
    }

    for (const one of steps) {
      if ('append' in one) {
        head += one.append
        await store.append(
          'run',
          Array.from({ length: one.append }, () => ({ type: 'x' })),
        )
      } else if ('join' in one) joining.push(join(Math.max(0, head - one.join), one.slow))
      else if ('leave' in one) {
        const follower = followers[one.leave % Math.max(1, followers.length)]
        follower?.leave()
        if (follower) follower.left = true
      } else for (let turns = 0; turns < one.turns; turns++) await turn()
    }
    await Promise.all(joining)
    const done = (): boolean =>
      followers.every(({ after, seqs, left }) => left || seqs.at(-1) === head || after === head)
    for (let turns = 0; turns < 500 && !done(); turns++) await turn()
    for (const { after, seqs, left } of followers) {
      const length = left ? seqs.length : head - after
      expect(seqs).toEqual(Array.from({ length }, (_, index) => after + index + 1))
    }
    await kernel.close()
  })
  await fc.assert(property, { numRuns: 200 })
})
