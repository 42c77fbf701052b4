import type { ExpirePolicy, RunOutcome } from '../../kernel/index.ts'
import { defineScript, type RedisPort } from './redis.ts'

/** For each index of what has ended: how much there is, how much ended before a moment, and when the oldest did. */
const PEEK = `
local out = {}
for index, key in ipairs(KEYS) do
  local count = redis.call('ZCARD', key)
  local old, moments = 0, {}
  if count > 0 then
    old = redis.call('ZCOUNT', key, '-inf', ARGV[1])
    if tonumber(ARGV[2]) > 0 then
      local oldest = redis.call('ZRANGE', key, 0, ARGV[2] - 1, 'WITHSCORES')
      for score = 2, #oldest, 2 do moments[score / 2] = oldest[score] end
    end
  end
  out[index] = { count, old, moments }
end
return out
`

/** Milliseconds between two sweeps of an outcome. */
const PAUSE = 50

/** How many one call forgets at most: Redis does nothing else meanwhile. */
const MOST_FORGOTTEN = 500

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
  const script = defineScript(redis.client, PEEK)
  const groupsOf = <T>(all: readonly T[]): (readonly T[])[] => (redis.cluster ? all.map((one) => [one]) : [all])

  async function peek(keys: readonly string[], before: string, rows: number): Promise<Peeked[]> {
    const replies = await Promise.all(groupsOf(keys).map((group) => script(group, [before, rows])))
    return (replies.flat() as [number, number, string[]][]).map(([count, old, moments], index) => ({
      key: keys[index]!,
      count,
      old,
      moments,
    }))
  }

  return async (
    keys: readonly string[],
    { endedBefore, keep }: Pick<ExpirePolicy, 'endedBefore' | 'keep'>,
    forget: Forget,
  ): Promise<number> => {
    if (keys.length === 0) return 0
    const before = endedBefore === Infinity ? '+inf' : `(${endedBefore}`
    const counts = await peek(keys, before, 0)
    const total = counts.reduce((sum, { count }) => sum + count, 0)
    const old = counts.reduce((sum, one) => sum + one.old, 0)
    let left = Math.max(old, total - keep)
    let forgotten = 0
    while (left > 0) {
      const batch = Math.min(left, MOST_FORGOTTEN)
      const rows = Math.ceil((1.5 * batch) / keys.length) + 2
      const going = oldest(await peek(keys, before, rows), batch)
      if (going.length === 0) return forgotten
      const gone = await Promise.all(groupsOf(going).map(forget))
      forgotten += gone.reduce((sum, count) => sum + count, 0)
      left -= going.reduce((sum, { limit }) => sum + limit, 0)
    }
    return forgotten
  }
}

export interface Sweeps {
  run(policy: ExpirePolicy): Promise<number>
  /** Sweeps no more; resolves when none is under way. */
  close(): Promise<void>
}

/**
 * One sweep of an outcome at a time in a process: those asked for meanwhile become one, with the newest
 * bounds, since what is in excess would only be found again. What it forgot is told to the first.
 */
export function onePerOutcome(sweep: (policy: ExpirePolicy) => Promise<number>): Sweeps {
  let closed = false
  const last = new Map<RunOutcome, Promise<unknown>>()
  const next = new Map<RunOutcome, { policy: ExpirePolicy; done: Promise<number> }>()
  const run = (policy: ExpirePolicy): Promise<number> => {
    const { outcome } = policy
    if (closed) return Promise.resolve(0)
    const waiting = next.get(outcome)
    if (waiting) {
      waiting.policy = policy
      return waiting.done.then(() => 0)
    }
    const own = { policy, done: Promise.resolve(0) }
    const start = async (): Promise<number> => {
      // The more has ended, the less it costs to find out what goes.
      await new Promise((resolve) => setTimeout(resolve, PAUSE))
      next.delete(outcome)
      return closed ? 0 : sweep(own.policy)
    }
    const running = last.get(outcome)
    if (running) next.set(outcome, own)
    own.done = running ? running.then(start, start) : sweep(policy)
    const settled: Promise<void> = own.done.then(forget, forget)
    function forget(): void {
      if (last.get(outcome) === settled) last.delete(outcome)
    }
    last.set(outcome, settled)
    return own.done
  }
  return {
    run,
    async close() {
      closed = true
      await Promise.all(last.values())
    },
  }
}

/** The oldest, as far as it is certain that no set holds an older one. */
function oldest(peeked: readonly Peeked[], most: number): Going[] {
  let certain = Infinity
  for (const { count, moments } of peeked) {
    if (moments.length < count && moments.length > 0) certain = Math.min(certain, Number(moments.at(-1)))
  }
  const found = peeked
    .flatMap(({ key, moments }) => moments.map((upTo) => ({ key, upTo, moment: Number(upTo) })))
    .filter(({ moment }) => moment <= certain)
    .toSorted((a, b) => a.moment - b.moment)
  const going = new Map<string, Going>()
  for (const { key, upTo } of found.slice(0, most)) {
    const limit = (going.get(key)?.limit ?? 0) + 1
    going.set(key, { key, upTo, limit })
  }
  return [...going.values()]
}
