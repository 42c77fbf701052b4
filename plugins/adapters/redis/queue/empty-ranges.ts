import type { JobFilter } from '../../../../kernel/index.ts'
import type { JobPosition } from '../../lib/job-search/cursor.ts'
import type { ReadCandidates } from '../../lib/job-search/search.ts'
import { defineScript, type RedisPort } from '../lib/redis.ts'
import type { Queues } from './queues.ts'

/** A range of an index in which no job matched, from newer to older jobs. */
interface EmptyRange {
  /** The range begins behind this job. */
  from: JobPosition
  /** Its last job. */
  until: JobPosition
  /** When it was empty, by the clock of Redis. */
  at: number
  /** When it was walked, by the clock of this process. */
  walkedAt: number
}

/** How far behind the clock of a BullMQ worker may be, and how long a range is believed in case it is further behind, in milliseconds. */
const SKEW = 5000
const TRUSTED = 60_000
/** How many ranges a process remembers. */
const MAX_RANGES = 200
/** How many ended jobs one call compares, because a script blocks Redis. */
const MAX_ENDED = 5000
/** The sorted sets of jobs that have ended, by state. Redis sets the score when a job ends. */
const SETS: Readonly<Record<string, string>> = { completed: 'completed', failed: 'failed', cancelled: 'nq-cancelled' }

/**
 * Compares the jobs that have ended since a moment with a range of creations. ARGV: `base`, the bounds of the range, the moment, and the
 * keys of the ended jobs. Returns the time in milliseconds, or nil if one of the jobs is in the range, or if there are too many.
 */
const ENDED_SINCE = `local call = redis.call
local base, lower, upper, since, limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ${MAX_ENDED}
local time = call('TIME')
for n = 5, #ARGV do
  local ids = call('ZRANGE', base .. ':' .. ARGV[n], since, '+inf', 'BYSCORE', 'LIMIT', 0, limit + 1)
  if #ids > limit then return nil end
  for _, id in ipairs(ids) do
    local created = tonumber(call('HGET', base .. ':' .. id, 'timestamp') or '')
    if created and created >= lower and created <= upper then return nil end
  end
end
return time[1] * 1000 + math.floor(time[2] / 1000)
`

/**
 * Creates the function that skips the entries among which an earlier search found nothing. An index has the order of creation, and a backlog
 * of waiting jobs is newer than the jobs that have ended. A search for ended jobs walks through the backlog once. The next one asks which
 * jobs have ended since then. If none of them is in the backlog, it continues behind it.
 */
export function createEmptyRanges(redis: RedisPort, queues: Queues) {
  const endedSince = defineScript(redis, ENDED_SINCE)
  const ranges = new Map<string, EmptyRange>()

  /** Resolves to the time of Redis, or `undefined` if a job of the range has ended since it was walked. */
  async function check(queue: string, sets: readonly string[], range?: EmptyRange): Promise<number | undefined> {
    const base = queues.baseOf(queue)
    const args = range ? [range.until.createdAt, range.from.createdAt, range.at - SKEW] : [0, 0, '+inf']
    return ((await endedSince([`${base}:meta`], [base, ...args, ...sets])) as number | null) ?? undefined
  }

  function remember(key: string, range: EmptyRange): EmptyRange {
    ranges.delete(key)
    ranges.set(key, range)
    if (ranges.size > MAX_RANGES) ranges.delete(ranges.keys().next().value!)
    return range
  }

  /** Returns a reader of an index of a queue that skips the range in which `read` finds nothing for a filter. */
  return (queue: string, filter: JobFilter, read: ReadCandidates): ReadCandidates => {
    const { states = [], name, tag, runId, createdAfter, createdBefore, error, data } = filter
    const sets = states.flatMap((state) => SETS[state] ?? [])
    const isPlain = [runId, createdAfter, createdBefore, error, data].every((one) => one === undefined)
    if (!isPlain || sets.length === 0 || sets.length < states.length) return read
    const key = JSON.stringify([queue, states.toSorted(), name, tag])
    /** The range in which this search has found nothing since its beginning. */
    let walked: EmptyRange | undefined
    let hasFound = false

    /** Returns the range that is known to be empty at a position, if no job of it has ended in the meantime. */
    async function rangeAt({ createdAt, id }: JobPosition): Promise<EmptyRange | undefined> {
      const known = ranges.get(key)
      if (!known || createdAt <= known.until.createdAt || createdAt > known.from.createdAt) return undefined
      if (createdAt === known.from.createdAt && id !== known.from.id) return undefined
      const isTrusted = performance.now() - known.walkedAt < TRUSTED
      const at = isTrusted ? await check(queue, sets, known) : undefined
      ranges.delete(key)
      if (at === undefined) return undefined
      const isJoined = walked && walked.at > 0 && !hasFound
      return remember(key, { ...known, ...(isJoined ? { from: walked!.from, at: walked!.at } : { at }) })
    }

    return async (after, wanted, atMost) => {
      const known = after && (await rangeAt(after))
      if (known && !hasFound) walked = known
      // The first read that finds nothing begins a range. Jobs that follow may end from now on.
      else if (after && walked?.at === 0) walked.at = (await check(queue, sets)) ?? 0
      const found = await read(known ? known.until : after, wanted, atMost)
      if (hasFound) return found
      hasFound = found.jobs.length > 0 || !found.last
      if (!hasFound) {
        const until = found.last!
        walked = walked ? { ...walked, until } : { from: until, until, at: 0, walkedAt: performance.now() }
      }
      // A range that reaches further is replaced only if this search does not come to it.
      const reachesFurther =
        !hasFound && (ranges.get(key)?.until.createdAt ?? Infinity) < (walked?.until.createdAt ?? 0)
      if (walked && walked.at > 0 && !reachesFurther) remember(key, walked)
      return found
    }
  }
}
