import { array, assert, integer, nat, option, property, record } from 'fast-check'
import { expect, it } from 'vitest'
import { Bucket } from '../../../plugins/adapters/lib/local-queue/bucket.ts'

const ask = record({
  /** Milliseconds since the previous request. */
  after: nat(60),
  holder: option(integer({ min: 1, max: 8 }).map(String), { nil: undefined }),
})

it('never allows more starts in a span than the rate, for any requests', () => {
  const asks = array(ask, { minLength: 10, maxLength: 120 })
  assert(
    property(integer({ min: 1, max: 5 }), integer({ min: 1, max: 100 }), asks, (max, duration, all) => {
      const bucket = new Bucket()
      const starts: number[] = []
      let now = 1000
      for (const { after, holder } of all) {
        now += after
        if (bucket.take({ max, duration }, now, holder) === 0) starts.push(now)
      }
      expect(starts.slice(max).every((at, index) => at - starts[index]! >= duration)).toBe(true)
    }),
    { numRuns: 2000 },
  )
})

it('returns a wait to each holder after which it may start, if all holders observe their waits', () => {
  const rates = [integer({ min: 1, max: 5 }), integer({ min: 1, max: 100 }), integer({ min: 1, max: 60 })] as const
  assert(
    property(...rates, (max, duration, holders) => {
      const bucket = new Bucket()
      const rate = { max, duration }
      const waits = Array.from(
        { length: holders },
        (_, index) => [`h${index}`, bucket.take(rate, 0, `h${index}`)] as const,
      )
      for (const [holder, wait] of waits.filter((one) => one[1] > 0)) expect(bucket.take(rate, wait, holder)).toBe(0)
      expect(waits.map(([, wait]) => wait)).toEqual(waits.map((_, index) => Math.floor(index / max) * duration))
    }),
  )
})
