import { describe, expect, it } from 'vitest'
import type { Limits } from '../../kernel/index.ts'
import { collectReports, type Harness, type HarnessOptions } from './harness.ts'
import { createTime, type Time } from './time.ts'
import { BAD_COUNTS, BAD_DURATIONS, BAD_TEXTS } from './hostile.ts'
import { hostileRounds, picker, seeded } from './random.ts'

export interface LimitsHarness extends Harness {
  limits: Limits
}

export interface LimitsConformanceOptions {
  name: string
  create(options: HarnessOptions): Promise<LimitsHarness>
}

interface LimitsRig extends Time {
  limits: Limits
  /** Acquires a permit with a lifetime of a minute. */
  acquire(holder: string, max?: number, key?: string): Promise<boolean>
}
const MINUTE = 60_000
type LimitsTest = (test: (rig: LimitsRig) => Promise<void>) => () => Promise<void>

/**
 * Registers the tests that every provider of `limits` passes.
 *
 * @example
 * limitsConformance({
 *   name: 'limits-memory',
 *   async create() {
 *     const { kernel, ...harness } = await createPluginHarness({ plugins: [queueMemory] })
 *     return { ...harness, limits: kernel.port('limits') }
 *   },
 * })
 */
export function limitsConformance({ name, create }: LimitsConformanceOptions): void {
  const test: LimitsTest = (body) => async () => {
    const { reporter } = collectReports()
    const harness = await create({ reporter })
    const { limits } = harness
    try {
      await body({
        ...createTime(harness),
        limits,
        acquire: async (holder, max = 1, key = 'k') => limits.acquire(key, max, 60_000, holder),
      })
    } finally {
      await harness.dispose()
    }
  }
  describe(`limits conformance: ${name}`, () => {
    describe('permits', () => {
      permitTests(test)
    })
    describe('hostile values', () => {
      hostileTests(test)
    })
    describe('owners', () => {
      ownerTests(test)
    })
    describe('starts', () => {
      startTests(test)
    })
  })
}

function permitTests(test: LimitsTest): void {
  it(
    'gives out as many permits as the maximum, for each key',
    test(async ({ acquire }) => {
      expect([await acquire('a', 2), await acquire('b', 2), await acquire('c', 2)]).toEqual([true, true, false])
      expect(await acquire('c', 1, 'other')).toBe(true)
    }),
  )

  it(
    'gives one permit to one of many simultaneous requests',
    test(async ({ acquire }) => {
      const asked = await Promise.all(Array.from({ length: 20 }, (_, index) => acquire(`h${index}`)))
      expect(asked.filter(Boolean)).toHaveLength(1)
    }),
  )

  it(
    'lets a holder ask again without a second permit',
    test(async ({ acquire }) => {
      expect([await acquire('a', 2), await acquire('a', 2), await acquire('b', 2)]).toEqual([true, true, true])
      expect(await acquire('a', 2)).toBe(true)
    }),
  )

  it(
    'assigns a permit to the first waiter, which keeps its position when it asks again',
    test(async ({ acquire, limits }) => {
      await acquire('a')
      for (const holder of ['b', 'c', 'd', 'c', 'b']) expect(await acquire(holder)).toBe(false)
      expect(await limits.release('k', 'a')).toEqual(['b'])
      expect(await acquire('c')).toBe(false)
      expect(await acquire('newcomer')).toBe(false)
      expect(await acquire('b')).toBe(true)
      expect(await limits.release('k', 'b')).toEqual(['c'])
      expect(await limits.release('k', 'c')).toEqual(['d'])
      expect(await limits.release('k', 'd')).toEqual(['newcomer'])
      expect(await limits.release('k', 'newcomer')).toEqual([])
      expect(await acquire('late')).toBe(true)
    }),
  )

  it(
    'keeps an assigned permit for its waiter until it asks',
    test(async ({ acquire, limits }) => {
      await acquire('a')
      await acquire('b')
      await limits.release('k', 'a')
      expect(await acquire('c')).toBe(false)
      expect(await acquire('a')).toBe(false)
      expect(await acquire('b')).toBe(true)
    }),
  )

  it(
    'lets a waiter stop waiting',
    test(async ({ acquire, limits }) => {
      for (const holder of ['a', 'b', 'c']) await acquire(holder)
      expect(await limits.release('k', 'b')).toEqual([])
      expect(await limits.release('k', 'a')).toEqual(['c'])
    }),
  )

  it(
    'ignores a release without a permit',
    test(async ({ acquire, limits }) => {
      expect(await limits.release('k', 'nobody')).toEqual([])
      await acquire('a')
      await acquire('b')
      expect(await limits.release('k', 'nobody')).toEqual([])
      expect(await acquire('b')).toBe(false)
      expect(await limits.release('k', 'a')).toEqual(['b'])
      expect(await limits.release('k', 'a')).toEqual([])
      expect(await acquire('c')).toBe(false)
    }),
  )

  it(
    'gives out more permits as soon as the maximum is raised',
    test(async ({ acquire, limits }) => {
      for (const holder of ['a', 'b', 'c', 'd']) await acquire(holder, 1)
      expect(await acquire('b', 2)).toBe(true)
      expect(await acquire('c', 2)).toBe(false)
      await acquire('d', 3)
      expect(await limits.release('k', 'a')).toEqual(['c'])
    }),
  )

  it(
    'assigns all free permits, not only the released one',
    test(async ({ acquire, limits }) => {
      for (const holder of ['a', 'b', 'c']) await acquire(holder, 1)
      expect(await acquire('late', 1)).toBe(false)
      await acquire('a', 3)
      expect(await limits.release('k', 'a')).toEqual(['b', 'c', 'late'])
    }),
  )

  it(
    'gives out no permit while more than the maximum are in use',
    test(async ({ acquire, limits }) => {
      for (const holder of ['a', 'b', 'c']) await acquire(holder, 3)
      expect(await acquire('d', 1)).toBe(false)
      expect(await limits.release('k', 'a')).toEqual([])
      expect(await limits.release('k', 'b')).toEqual([])
      expect(await limits.release('k', 'c')).toEqual(['d'])
    }),
  )

  it(
    'expires a permit that is never released, unless its holder asks again',
    test(async ({ limits, elapse }) => {
      expect(await limits.acquire('other', 1, 50, 'dead')).toBe(true)
      expect(await limits.acquire('k', 1, 50, 'dead')).toBe(true)
      expect(await limits.acquire('k', 1, MINUTE, 'dead')).toBe(true)
      await elapse(60)
      expect(await limits.acquire('other', 1, MINUTE, 'b')).toBe(true)
      expect(await limits.acquire('other', 1, MINUTE, 'dead')).toBe(false)
      expect(await limits.release('other', 'b')).toEqual(['dead'])
      expect(await limits.acquire('k', 1, MINUTE, 'b')).toBe(false)
    }),
  )

  it(
    'accepts any text as key and holder',
    test(async ({ acquire, limits }) => {
      for (const text of ['__proto__', 'constructor', 'ünï😀', 'a:b/c d', 'x'.repeat(200)]) {
        expect(await acquire(text, 1, text)).toBe(true)
        expect(await acquire('other', 1, text)).toBe(false)
        expect(await limits.take(text, { max: 1, duration: 60_000 }, text)).toBe(0)
        expect(await limits.take(text, { max: 1, duration: 60_000 })).toBeGreaterThan(0)
        expect(await limits.release(text, text)).toEqual(['other'])
      }
    }),
  )
}

/** Simultaneous calls share a call to the store, but must not affect each other. */
function hostileTests(test: LimitsTest): void {
  it(
    'handles valid calls next to rejected ones',
    test(async ({ limits }) => {
      for (const [round, random] of hostileRounds()) {
        const pick = picker(random)
        const hostile = async (): Promise<void> => {
          const text = pick(BAD_TEXTS) as string
          const count = pick(BAD_COUNTS) as number
          const duration = pick(BAD_DURATIONS) as number
          const calls: (() => unknown)[] = [
            () => limits.acquire(text, 1, 60_000, 'h'),
            () => limits.acquire('bad', 1, 60_000, text),
            () => limits.acquire('bad', count, 60_000, 'h'),
            () => limits.acquire('bad', 1, duration, 'h'),
            () => limits.take(text, { max: 1, duration: 60_000 }),
            () => limits.take('bad', { max: count, duration: 60_000 }),
            () => limits.take('bad', { max: 1, duration }, text),
            () => limits.release(text, text),
          ]
          await Promise.resolve()
            .then(pick(calls))
            .catch(() => {})
        }
        const asked = Array.from({ length: 24 }, async (_, index) => {
          if (random() < 0.3) return hostile()
          const key = `good-${round}-${index}`
          expect(await limits.acquire(key, 1, 60_000, 'a')).toBe(true)
          expect(await limits.acquire(key, 1, 60_000, 'b')).toBe(false)
          expect(await limits.take(key, { max: 1, duration: 60_000 })).toBe(0)
          expect(await limits.release(key, 'a')).toEqual(['b'])
        })
        await Promise.all(asked)
      }
    }),
  )
}

/** Permits of processes that die, and of claims that were lost. */
function ownerTests(test: LimitsTest): void {
  it(
    'keeps a permit for the newest claim of its holder',
    test(async ({ limits }) => {
      const acquire = async (claim: number): Promise<boolean> => limits.acquire('k', 1, MINUTE, 'a', claim)
      expect([await acquire(1), await acquire(3), await acquire(2)]).toEqual([true, true, false])
      await limits.acquire('k', 1, MINUTE, 'b', 1)
      expect(await limits.release('k', 'a', 2)).toEqual([])
      expect(await limits.acquire('k', 1, MINUTE, 'c', 1)).toBe(false)
      expect(await limits.release('k', 'a', 3)).toEqual(['b'])
      expect(await limits.acquire('k', 1, MINUTE, 'b', 7)).toBe(true)
    }),
  )

  it(
    'releases an assigned permit, but not a permit that was taken since',
    test(async ({ limits, acquire }) => {
      for (const holder of ['a', 'b', 'c', 'd']) await acquire(holder)
      expect(await limits.release('k', 'a', 1)).toEqual(['b'])
      expect(await limits.release('k', 'b', 0)).toEqual(['c'])
      expect(await acquire('c')).toBe(true)
      expect(await limits.release('k', 'c', 0)).toEqual([])
      expect(await acquire('late')).toBe(false)
      expect(await limits.release('k', 'c', 1)).toEqual(['d'])
    }),
  )

  it(
    'keeps a holder waiting when one of its old claims releases a permit',
    test(async ({ limits, acquire }) => {
      for (const holder of ['a', 'b']) await acquire(holder)
      expect(await limits.release('k', 'b', 1)).toEqual([])
      expect(await limits.release('k', 'a', 1)).toEqual(['b'])
    }),
  )

  it(
    'keeps renewed permits, and returns permits that another holder has',
    test(async ({ limits, elapse }) => {
      const permit = (holder: string, claim = 1, key = 'k') => ({ key, max: 1, holder, claim })
      await limits.acquire('k', 1, 50, 'a')
      await limits.acquire('other', 1, MINUTE, 'x')
      expect(await limits.renew([permit('a'), permit('x', 1, 'other')], MINUTE)).toEqual([])
      await elapse(60)
      expect(await limits.acquire('k', 1, MINUTE, 'b')).toBe(false)
      expect(await limits.renew([permit('a')], 1)).toEqual([])
      await elapse(20)
      // The permit has expired, and no other holder has asked for it.
      expect(await limits.renew([permit('a')], 1)).toEqual([])
      await elapse(20)
      expect(await limits.acquire('k', 1, MINUTE, 'c')).toBe(true)
      expect(await limits.renew([permit('a'), permit('c')], MINUTE)).toEqual([permit('a')])
      await limits.acquire('other', 1, MINUTE, 'x', 2)
      expect(await limits.renew([permit('x', 1, 'other')], MINUTE)).toEqual([permit('x', 1, 'other')])
      expect(await limits.renew([], MINUTE)).toEqual([])
    }),
  )

  it(
    'finds the next waiters for all expired permits',
    test(async ({ limits, acquire, elapse }) => {
      for (const holder of ['dead', 'dead too']) await acquire(holder, 2)
      for (const holder of ['b', 'c', 'd']) expect(await acquire(holder, 2)).toBe(false)
      await acquire('alone', 1, 'quiet')
      expect(await limits.sweep(MINUTE)).toEqual([])
      const dead = ['dead', 'dead too'].map((holder) => ({ key: 'k', max: 2, holder, claim: 1 }))
      await limits.renew(dead, 1)
      await elapse(60)
      expect(await limits.sweep(50)).toEqual([
        { key: 'k', holder: 'b' },
        { key: 'k', holder: 'c' },
      ])
      expect(await acquire('b', 2)).toBe(true)
      expect(await acquire('d', 2)).toBe(false)
    }),
  )

  it(
    'finds waiters that have not taken their assigned permit, repeatedly until they do',
    test(async ({ limits, acquire, elapse }) => {
      for (const holder of ['a', 'b']) await acquire(holder)
      expect(await limits.release('k', 'a', 1)).toEqual(['b'])
      expect(await limits.sweep(MINUTE)).toEqual([])
      await elapse(120)
      expect(await limits.sweep(100)).toEqual([{ key: 'k', holder: 'b' }])
      expect(await limits.sweep(MINUTE)).toEqual([])
      await elapse(120)
      expect(await limits.sweep(100)).toEqual([{ key: 'k', holder: 'b' }])
      expect(await acquire('b')).toBe(true)
      await elapse(120)
      expect(await limits.sweep(100)).toEqual([])
    }),
  )

  it(
    'finds the waiters of many keys',
    test(async ({ limits, acquire, elapse }) => {
      const keys = Array.from({ length: 150 }, (_, index) => `key ${index}`)
      await Promise.all(keys.map((key) => acquire('dead', 1, key)))
      await Promise.all(keys.map((key) => acquire('next', 1, key)))
      const dead = keys.map((key) => ({ key, max: 1, holder: 'dead', claim: 1 }))
      expect(await limits.renew(dead, 1)).toEqual([])
      await elapse(20)
      const found = await limits.sweep(MINUTE)
      expect(found.map(({ key }) => key).toSorted()).toEqual(keys.toSorted())
      expect(await Promise.all(keys.map((key) => acquire('next', 1, key)))).toEqual(keys.map(() => true))
    }),
  )
}

/**
 * Returns what `ask` returns once no stall of the machine came between its calls, asking with a new name each time. Time
 * that `ask` spends in `wait` does not count as a stall.
 */
async function inTime<T>(
  now: () => number,
  ask: (name: string, wait: (elapse: Time['elapse'], ms: number) => Promise<void>) => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    const began = now()
    let waited = 0
    const result = await ask(`bucket ${tries}`, (elapse, ms) => ((waited += ms), elapse(ms)))
    if (now() - began - waited < 300) return result
  }
}

function startTests(test: LimitsTest): void {
  const rate = { max: 2, duration: 1000 }
  const slow = { max: 2, duration: MINUTE }

  it(
    'allows as many starts as the rate, for each bucket, and returns how long other holders must wait',
    test(async ({ limits }) => {
      expect([await limits.take('b', slow), await limits.take('b', slow)]).toEqual([0, 0])
      const wait = await limits.take('b', slow)
      expect(wait).toBeGreaterThan(0.4 * MINUTE)
      expect(wait).toBeLessThanOrEqual(MINUTE)
      expect(await limits.take('other', slow)).toBe(0)
    }),
  )

  it(
    'takes back the newest start of a bucket, if the adapter can',
    test(async ({ limits }) => {
      await limits.takeBack?.('b')
      expect([await limits.take('b', slow), await limits.take('b', slow)]).toEqual([0, 0])
      expect(await limits.take('b', slow)).toBeGreaterThan(0)
      await limits.takeBack?.('b')
      await limits.takeBack?.('other')
      expect((await limits.take('b', slow)) === 0).toBe(limits.takeBack !== undefined)
      expect(await limits.take('b', slow)).toBeGreaterThan(0)
    }),
  )

  it(
    'counts only starts that it allowed',
    test(async ({ limits, elapse, now }) => {
      const [bucket, waits] = await inTime(now, async (name) => {
        await limits.take(name, rate)
        await limits.take(name, rate)
        return [name, [await limits.take(name, rate), await limits.take(name, rate), await limits.take(name, rate)]]
      })
      expect(waits.every((wait) => wait > 0 && wait <= 1000)).toBe(true)
      await elapse(waits[0]! + 5)
      expect(await limits.take(bucket, rate)).toBe(0)
    }),
  )

  it(
    'reserves a later start for each holder, and allows it when the holder comes back',
    test(async ({ limits, elapse, now }) => {
      const one = { max: 1, duration: 1000 }
      const [bucket, { free, first, second, again, meanwhile, back, next }] = await inTime(now, async (name, wait) => {
        const take = async (holder?: string): Promise<number> => limits.take(name, one, holder)
        const [free, first, second, again] = [await take('a'), await take('x'), await take('y'), await take('x')]
        await wait(elapse, first + 1)
        const [meanwhile, back, next] = [await take(), await take('x'), await take('x')]
        return [name, { free, first, second, again, meanwhile, back, next }]
      })
      expect([free, back]).toEqual([0, 0])
      expect(second - first).toBeGreaterThan(500)
      expect(again).toBeGreaterThan(0)
      expect(again).toBeLessThanOrEqual(first)
      expect(meanwhile).toBeGreaterThan(0)
      expect(next).toBeGreaterThan(1200)
      await elapse(1001)
      expect(await limits.take(bucket, one, 'y')).toBe(0)
    }),
  )

  it(
    'allows a start to one of many simultaneous requests',
    test(async ({ limits }) => {
      const asked = await Promise.all(
        Array.from({ length: 20 }, async () => limits.take('b', { max: 3, duration: 10_000 })),
      )
      expect(asked.filter((wait) => wait === 0)).toHaveLength(3)
    }),
  )

  it(
    'never allows more starts in any span of time than the rate, even if holders come back late or never',
    test(async ({ limits, elapse, now }) => {
      const max = 3
      const duration = 30
      const starts: { asked: number; answered: number }[] = []
      const waiting = new Map<string, number>()
      const random = seeded(7)
      for (let turn = 0; turn < 60; turn++) {
        const back = [...waiting].filter(([, at]) => at <= now()).map(([holder]) => holder)
        const holder = random() < 0.7 ? (back[0] ?? `h${turn}`) : undefined
        const asked = now()
        const wait = await limits.take('b', { max, duration }, holder)
        if (wait === 0) starts.push({ asked, answered: now() })
        if (holder !== undefined) {
          waiting.delete(holder)
          const late = random() < 0.3 ? 45 * random() : 0
          if (wait > 0 && random() < 0.9) waiting.set(holder, now() + wait + late)
        }
        await elapse(Math.floor(random() * 6))
      }
      // The longest possible span, because a slow response must not look like an early start.
      const spans = starts.slice(max).map(({ answered }, index) => answered - starts[index]!.asked)
      expect(starts.length).toBeGreaterThan(5)
      expect(spans.filter((span) => span < duration - 2)).toEqual([])
    }),
  )
}
