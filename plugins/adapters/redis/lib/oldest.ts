import type { ExpirePolicy } from '../../../../kernel/index.ts'
import { defineScript, type RedisPort } from './redis.ts'

/**
 * Counts and samples sorted sets whose scores are the moments at which their members ended.
 *
 * KEYS: the sorted sets. ARGV: `before` and `since`, two bounds of scores; `step`, the distance of two samples; `samples`, the
 * maximum number of samples per set.
 *
 * Returns for each set: the number of members, the number up to `before`, the number up to `since`, and the scores at the ranks
 * `step`, 2 × `step`, and so on, oldest first.
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
    for rank = step, math.min(samples * step, count), step do
      moments[#moments + 1] = redis.call('ZRANGE', key, rank - 1, rank - 1, 'WITHSCORES')[2]
    end
  end
  out[index] = { count, old, early, moments }
end
return out
`

/** The maximum number of members that one call deletes, because a script blocks Redis. */
const MAX_DELETED = 256
/** The number of samples per sorted set. */
const SAMPLES = 8
/** If there are more sorted sets than this, empty ones are not read again for a while. */
const FEW = 100
/** How long empty sets are not read again, as a multiple of the time that it takes to read all sets. */
const PAUSE_FACTOR = 50

/** The members of a sorted set to delete: the oldest ones up to the score `upTo`, at most `limit`. */
export interface Deletion {
  key: string
  upTo: string
  limit: number
}

/** Deletes members of sorted sets that one script may access together. Resolves with the number of deleted members. */
type Forget = (deletions: readonly Deletion[]) => Promise<number>
/** The bounds of a policy. `before` and `since` are scores in the syntax of Redis. */
interface Bounds {
  /** Members that ended before it are deleted. */
  before: string
  /** Members that exceed the number to keep are deleted if they ended before it. */
  since: string
  /** Members that ended at or after this moment are not deleted. */
  end: number
}

type Peeked = { key: string; count: number; old: number; early: number; moments: string[] }

/**
 * Creates a function that applies a policy to many sorted sets together: it deletes the members that exceed a bound of the
 * policy, oldest first over all sets. The score of a member is the moment at which it ended. The cost depends only on the
 * number of deleted members, and a little on the number of sets: of many sets, most of which are usually empty, a call looks only at those
 * that had members a moment ago. It then deletes too few members and never too many.
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

  /** The last look at all sets of a call, by its first set. */
  const looks = new Map<string, { count: number; filled: readonly string[]; until: number }>()

  /** Returns the sets to look at. Call `looked` with the sets that have members. */
  function candidates(keys: readonly string[]): {
    look: readonly string[]
    looked: (filled: readonly string[]) => void
  } {
    const [name = ''] = keys
    const last = looks.get(name)
    const began = performance.now()
    if (keys.length > FEW && last?.count === keys.length && began < last.until) {
      return { look: last.filled, looked: () => {} }
    }
    return {
      look: keys,
      looked(filled) {
        const now = performance.now()
        looks.set(name, { count: keys.length, filled, until: now + PAUSE_FACTOR * (now - began) })
      },
    }
  }

  /** In a single set, everything before the last `keep` members is deleted. This is correct even if other processes delete too. */
  async function beforeLast(key: string, keep: number, { since, end }: Bounds, left: number): Promise<Deletion[]> {
    const rank = -keep - 1
    const [, upTo] = (await redis.client.call('zrange', [key, rank, rank, 'WITHSCORES'])) as string[]
    if (upTo === undefined) return []
    return [{ key, upTo: Number(upTo) < end ? upTo : since, limit: Math.min(left, MAX_DELETED) }]
  }

  async function chooseFrom(keys: readonly string[], bounds: Bounds, left: number): Promise<Deletion[]> {
    const batch = Math.min(left, MAX_DELETED)
    const step = Math.max(1, Math.floor((2 * batch) / keys.length / SAMPLES))
    // Up to `step` members per set lie between two samples, and their order among the sets is unknown. They are left for a later
    // call with a smaller step.
    const max = step === 1 ? left : left - keys.length * step
    const peeked = await peek(keys, bounds, step, SAMPLES)
    return oldest(peeked, bounds.end, step, Math.min(max, MAX_DELETED))
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
    let { look, looked } = candidates(keys)
    for (;;) {
      if (look.length === 0) return forgotten
      const nonEmpty = (await peek(look, bounds)).filter(({ count }) => count > 0)
      look = nonEmpty.map(({ key }) => key)
      looked(look)
      looked = () => {}
      const total = nonEmpty.reduce((sum, { count }) => sum + count, 0)
      const old = nonEmpty.reduce((sum, one) => sum + one.old, 0)
      const early = nonEmpty.reduce((sum, one) => sum + one.early, 0)
      const left = Math.max(old, Math.min(total - keep, early))
      if (left <= 0) return forgotten
      const [first, ...others] = look
      let deletions: Deletion[]
      if (others.length > 0) deletions = await chooseFrom([first!, ...others], bounds, left)
      else if (left > old) deletions = await beforeLast(first!, keep, bounds, left)
      else deletions = [{ key: first!, upTo: bounds.before, limit: Math.min(left, MAX_DELETED) }]
      if (deletions.length === 0) return forgotten
      const deleted = await Promise.all(groupsOf(deletions).map(forget))
      forgotten += deleted.reduce((sum, count) => sum + count, 0)
    }
  }
}

function below(moment: number): string {
  return moment === Infinity ? '+inf' : `(${moment}`
}

/**
 * Chooses the oldest members by their samples, each of which represents `step` members. It goes only as far as the samples of all
 * sets reach, because a set may have older members after its last sample.
 */
function oldest(peeked: readonly Peeked[], end: number, step: number, max: number): Deletion[] {
  let certain = Infinity
  for (const { count, moments } of peeked) {
    if (moments.length * step < count && moments.length > 0) certain = Math.min(certain, Number(moments.at(-1)))
  }
  const samples = peeked
    .flatMap(({ key, moments }) => moments.map((upTo) => ({ key, upTo, moment: Number(upTo) })))
    .filter(({ moment }) => moment <= certain && moment < end)
    .toSorted((a, b) => a.moment - b.moment)
  const deletions = new Map<string, Deletion>()
  for (const { key, upTo } of samples.slice(0, Math.floor(max / step))) {
    const limit = (deletions.get(key)?.limit ?? 0) + step
    deletions.set(key, { key, upTo, limit })
  }
  return [...deletions.values()]
}
