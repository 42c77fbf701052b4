import type { ExpirePolicy } from '../../../../kernel/index.ts'
import { defineScript, type RedisPort } from './redis.ts'

/**
 * For each index of what has ended: how much there is, how much ended before each of two moments, and when
 * those did that are at every so many-th place, from the oldest on.
 */
const PEEK = `
local before, since, step, samples = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local out = {}
for index, key in ipairs(KEYS) do
  local count = redis.call('ZCARD', key)
  local old, early, moments = 0, 0, {}
  if count > 0 then
    old = redis.call('ZCOUNT', key, '-inf', before)
    early = since == '+inf' and count or redis.call('ZCOUNT', key, '-inf', since)
    for place = step, math.min(samples * step, count), step do
      moments[#moments + 1] = redis.call('ZRANGE', key, place - 1, place - 1, 'WITHSCORES')[2]
    end
  end
  out[index] = { count, old, early, moments }
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
/** Moments as Redis takes them: what ended before the first goes, and what did not before the second stays. */
interface Bounds {
  before: string
  since: string
  /** Nothing that ended at or after it goes, for whatever reason. */
  end: number
}

type Peeked = { key: string; count: number; old: number; early: number; moments: string[] }

/**
 * Forgets, over many sorted sets with the moment of the end as score, what passes a bound of a policy:
 * what ended first goes first, whatever set it is in, and the cost is that of what goes.
 */
export function createOldestFirst(redis: RedisPort) {
  const script = defineScript(redis, PEEK)
  const groupsOf = <T>(all: readonly T[]): (readonly T[])[] => (redis.cluster ? all.map((one) => [one]) : [all])

  async function peek(keys: readonly string[], bounds: Bounds, step = 1, samples = 0): Promise<Peeked[]> {
    const { before, since } = bounds
    const replies = await Promise.all(groupsOf(keys).map((group) => script(group, [before, since, step, samples])))
    return (replies.flat() as [number, number, number, string[]][]).map(([count, old, early, moments], index) => ({
      key: keys[index]!,
      count,
      old,
      early,
      moments,
    }))
  }

  /** Of a single set all goes that is before the last `keep`, wherever others that forget have come to meanwhile. */
  async function beforeLast(key: string, keep: number, { since, end }: Bounds, left: number): Promise<Going[]> {
    const place = -keep - 1
    const [, upTo] = (await redis.client.call('zrange', [key, place, place, 'WITHSCORES'])) as string[]
    if (upTo === undefined) return []
    return [{ key, upTo: Number(upTo) < end ? upTo : since, limit: Math.min(left, MOST_FORGOTTEN) }]
  }

  async function chooseFrom(keys: readonly string[], bounds: Bounds, left: number): Promise<Going[]> {
    const batch = Math.min(left, MOST_FORGOTTEN)
    const step = Math.max(1, Math.floor((2 * batch) / keys.length / SAMPLES))
    // Between samples a set may hold older ones than what goes of another: they go in a closer look.
    const most = step === 1 ? left : left - keys.length * step
    const peeked = await peek(keys, bounds, step, SAMPLES)
    return oldest(peeked, bounds.end, step, Math.min(most, MOST_FORGOTTEN))
  }

  return async (
    keys: readonly string[],
    { endedBefore, keep, keepSince = Infinity }: Omit<ExpirePolicy, 'outcome'>,
    forget: Forget,
  ): Promise<number> => {
    if (keys.length === 0) return 0
    const end = Math.max(endedBefore, keepSince)
    const bounds: Bounds = { before: below(endedBefore), since: below(keepSince), end }
    let forgotten = 0
    for (;;) {
      const holding = (await peek(keys, bounds)).filter(({ count }) => count > 0)
      const total = holding.reduce((sum, { count }) => sum + count, 0)
      const old = holding.reduce((sum, one) => sum + one.old, 0)
      const early = holding.reduce((sum, one) => sum + one.early, 0)
      const left = Math.max(old, Math.min(total - keep, early))
      if (left <= 0) return forgotten
      const [first, ...others] = holding.map(({ key }) => key)
      let going: Going[]
      if (others.length > 0) going = await chooseFrom([first!, ...others], bounds, left)
      else if (left > old) going = await beforeLast(first!, keep, bounds, left)
      else going = [{ key: first!, upTo: bounds.before, limit: Math.min(left, MOST_FORGOTTEN) }]
      if (going.length === 0) return forgotten
      const gone = await Promise.all(groupsOf(going).map(forget))
      forgotten += gone.reduce((sum, count) => sum + count, 0)
    }
  }
}

function below(moment: number): string {
  return moment === Infinity ? '+inf' : `(${moment}`
}

/** What goes by samples of which each stands for so many, as far as no set may hold older ones behind its last. */
function oldest(peeked: readonly Peeked[], end: number, step: number, most: number): Going[] {
  let certain = Infinity
  for (const { count, moments } of peeked) {
    if (moments.length * step < count && moments.length > 0) certain = Math.min(certain, Number(moments.at(-1)))
  }
  const samples = peeked
    .flatMap(({ key, moments }) => moments.map((upTo) => ({ key, upTo, moment: Number(upTo) })))
    .filter(({ moment }) => moment <= certain && moment < end)
    .toSorted((a, b) => a.moment - b.moment)
  const going = new Map<string, Going>()
  for (const { key, upTo } of samples.slice(0, Math.floor(most / step))) {
    const limit = (going.get(key)?.limit ?? 0) + step
    going.set(key, { key, upTo, limit })
  }
  return [...going.values()]
}
