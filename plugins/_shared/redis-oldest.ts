import type { ExpirePolicy, RunOutcome } from '../../kernel/index.ts'
import { defineScript, type RedisPort } from './redis.ts'

/** For each index of what has ended: how much there is, how much ended before a moment, and the oldest. */
const PEEK = `
local out = {}
for index, key in ipairs(KEYS) do
  local count = redis.call('ZCARD', key)
  local old, oldest = 0, {}
  if count > 0 then
    old = redis.call('ZCOUNT', key, '-inf', ARGV[1])
    if tonumber(ARGV[2]) > 0 then oldest = redis.call('ZRANGE', key, 0, ARGV[2] - 1, 'WITHSCORES') end
  end
  out[index] = { count, old, oldest }
end
return out
`

/** Milliseconds between two sweeps of an outcome. */
const PAUSE = 50

/** How many one call forgets at most: Redis does nothing else meanwhile. */
const MOST_FORGOTTEN = 500

export interface EndedMember {
  /** The sorted set it is in. */
  key: string
  member: string
}

type Forget = (members: readonly EndedMember[]) => Promise<number>
type Peeked = { key: string; count: number; old: number; rows: string[] }

/**
 * Forgets, over many sorted sets with the moment of the end as score, what passes a bound of a policy:
 * what ended first goes first, whatever set it is in, and the cost is that of what goes.
 */
export function createOldestFirst(redis: RedisPort) {
  const script = defineScript(redis.client, PEEK)

  async function peek(keys: readonly string[], before: string, rows: number): Promise<Peeked[]> {
    const groups = redis.cluster ? keys.map((key) => [key]) : [keys]
    const replies = await Promise.all(groups.map((group) => script(group, [before, rows])))
    return (replies.flat() as [number, number, string[]][]).map(([count, old, found], index) => ({
      key: keys[index]!,
      count,
      old,
      rows: found,
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
      const rows = Math.ceil((2 * batch) / keys.length) + 2
      const going = oldest(await peek(keys, before, rows)).slice(0, batch)
      if (going.length === 0) return forgotten
      forgotten += await forget(going)
      left -= going.length
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
function oldest(peeked: readonly Peeked[]): EndedMember[] {
  const found: (EndedMember & { score: number })[] = []
  let certain = Infinity
  for (const { key, count, rows } of peeked) {
    for (let index = 0; index < rows.length; index += 2) {
      found.push({ key, member: rows[index]!, score: Number(rows[index + 1]) })
    }
    if (rows.length / 2 < count && rows.length > 0) certain = Math.min(certain, Number(rows.at(-1)))
  }
  return found.filter(({ score }) => score <= certain).toSorted((a, b) => a.score - b.score)
}
