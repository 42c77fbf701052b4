import type { ExpirePolicy } from '../../kernel/index.ts'
import { defineScript, type RedisPort } from './redis.ts'

/**
 * For each index of what has ended: how much there is, how much ended before a moment, and when those
 * did that are at every so many-th place, from the oldest on.
 */
const PEEK = `
local before, step, samples = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local out = {}
for index, key in ipairs(KEYS) do
  local count = redis.call('ZCARD', key)
  local old, moments = 0, {}
  if count > 0 then
    old = redis.call('ZCOUNT', key, '-inf', before)
    for place = step, math.min(samples * step, count), step do
      moments[#moments + 1] = redis.call('ZRANGE', key, place - 1, place - 1, 'WITHSCORES')[2]
    end
  end
  out[index] = { count, old, moments }
end
return out
`

/** How many one call forgets at most: Redis does nothing else meanwhile. */
const MOST_FORGOTTEN = 256
/** How many moments of a sorted set are looked at. */
const SAMPLES = 8

/** The members of a sorted set that go: the oldest up to a score, so many at most. */
export interface Going {
  key: string
  upTo: string
  limit: number
}

/** Forgets from sorted sets that one script may use together; answers how much was there. */
type Forget = (going: readonly Going[]) => Promise<number>
type Peeked = { key: string; count: number; old: number; moments: string[] }

/**
 * Forgets, over many sorted sets with the moment of the end as score, what passes a bound of a policy:
 * what ended first goes first, whatever set it is in, and the cost is that of what goes.
 */
export function createOldestFirst(redis: RedisPort) {
  const script = defineScript(redis, PEEK)
  const groupsOf = <T>(all: readonly T[]): (readonly T[])[] => (redis.cluster ? all.map((one) => [one]) : [all])

  async function peek(keys: readonly string[], before: string, step = 1, samples = 0): Promise<Peeked[]> {
    const replies = await Promise.all(groupsOf(keys).map((group) => script(group, [before, step, samples])))
    return (replies.flat() as [number, number, string[]][]).map(([count, old, moments], index) => ({
      key: keys[index]!,
      count,
      old,
      moments,
    }))
  }

  /** Of a single set all goes that is before the last `keep`, wherever others that forget have come to meanwhile. */
  async function beforeLast(key: string, keep: number, left: number): Promise<Going[]> {
    const place = -keep - 1
    const [, upTo] = (await redis.client.call('zrange', [key, place, place, 'WITHSCORES'])) as string[]
    return upTo === undefined ? [] : [{ key, upTo, limit: Math.min(left, MOST_FORGOTTEN) }]
  }

  async function chooseFrom(keys: readonly string[], left: number): Promise<Going[]> {
    const batch = Math.min(left, MOST_FORGOTTEN)
    const step = Math.max(1, Math.floor((2 * batch) / keys.length / SAMPLES))
    // Between samples a set may hold older ones than what goes of another: they go in a closer look.
    const most = step === 1 ? left : left - keys.length * step
    return oldest(await peek(keys, '+inf', step, SAMPLES), step, Math.min(most, MOST_FORGOTTEN))
  }

  return async (
    keys: readonly string[],
    { endedBefore, keep }: Pick<ExpirePolicy, 'endedBefore' | 'keep'>,
    forget: Forget,
  ): Promise<number> => {
    if (keys.length === 0) return 0
    const before = endedBefore === Infinity ? '+inf' : `(${endedBefore}`
    let forgotten = 0
    for (;;) {
      const holding = (await peek(keys, before)).filter(({ count }) => count > 0)
      const total = holding.reduce((sum, { count }) => sum + count, 0)
      const old = holding.reduce((sum, one) => sum + one.old, 0)
      const left = Math.max(old, total - keep)
      if (left <= 0) return forgotten
      const [first, ...others] = holding.map(({ key }) => key)
      let going: Going[]
      if (others.length > 0) going = await chooseFrom([first!, ...others], left)
      else if (total - keep > old) going = await beforeLast(first!, keep, left)
      else going = [{ key: first!, upTo: before, limit: Math.min(left, MOST_FORGOTTEN) }]
      if (going.length === 0) return forgotten
      const gone = await Promise.all(groupsOf(going).map(forget))
      forgotten += gone.reduce((sum, count) => sum + count, 0)
    }
  }
}

/** What goes by samples of which each stands for so many, as far as no set may hold older ones behind its last. */
function oldest(peeked: readonly Peeked[], step: number, most: number): Going[] {
  let certain = Infinity
  for (const { count, moments } of peeked) {
    if (moments.length * step < count && moments.length > 0) certain = Math.min(certain, Number(moments.at(-1)))
  }
  const samples = peeked
    .flatMap(({ key, moments }) => moments.map((upTo) => ({ key, upTo, moment: Number(upTo) })))
    .filter(({ moment }) => moment <= certain)
    .toSorted((a, b) => a.moment - b.moment)
  const going = new Map<string, Going>()
  for (const { key, upTo } of samples.slice(0, Math.floor(most / step))) {
    const limit = (going.get(key)?.limit ?? 0) + step
    going.set(key, { key, upTo, limit })
  }
  return [...going.values()]
}
