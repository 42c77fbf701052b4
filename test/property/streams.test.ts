import fc from 'fast-check'
import { createKernel } from 'nuxt-queue/kernel'
import { expect, it } from 'vitest'
import streaming from '../../plugins/streaming/index.ts'
import { slowEvents } from '../conformance/slow-plugins.ts'

const step = fc.oneof(
  fc.record({ append: fc.integer({ min: 1, max: 700 }) }),
  fc.record({ join: fc.double({ min: 0, max: 1, noNaN: true }), slow: fc.boolean() }),
  fc.record({ leave: fc.nat() }),
  fc.record({ turns: fc.integer({ min: 1, max: 6 }) }),
)

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

it('gives every follower what it asked for, in order and once, whoever comes and goes meanwhile', async () => {
  const property = fc.asyncProperty(
    fc.array(step, { maxLength: 30 }),
    fc.constantFrom(0, 1000),
    async (steps, linger) => {
      const kernel = await createKernel({ plugins: [slowEvents, streaming], config: { streaming: { linger } } })
      const store = kernel.port('events')
      const followers: { after: number; seqs: number[]; leave: () => void; left: boolean }[] = []
      let head = 0
      const pending: Promise<unknown>[] = []

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
          const drafts = Array.from({ length: one.append }, () => ({ type: 'x' }))
          pending.push(Promise.resolve(store.append('run', drafts)))
        } else if ('join' in one) pending.push(join(Math.floor(one.join * head), one.slow))
        else if ('leave' in one) {
          const follower = followers[one.leave % Math.max(1, followers.length)]
          follower?.leave()
          if (follower) follower.left = true
        } else for (let turns = 0; turns < one.turns; turns++) await turn()
      }
      await Promise.all(pending)
      const staying = followers.filter(({ left }) => !left)
      for (let turns = 0; turns < 1_000; turns++) {
        if (staying.every(({ after, seqs }) => seqs.length === head - after)) break
        await turn()
      }
      for (const { after, seqs, left } of followers) {
        const length = left ? seqs.length : head - after
        expect(seqs).toEqual(Array.from({ length }, (_, index) => after + index + 1))
      }
      await kernel.close()
    },
  )
  await fc.assert(property, { numRuns: 150 })
})
