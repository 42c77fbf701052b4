import type { ExpirePolicy, StreamHead } from '../../../../kernel/index.ts'
import { defineScript, type RedisPort } from '../lib/redis.ts'
import { createOldestFirst } from '../lib/oldest.ts'
import { coalesceSweeps } from '../lib/sweeps.ts'
import { REMOVE_ENDED_RUNS, FORGET_STREAMS } from './scripts.ts'
import type { Shards } from './shards.ts'

/** Creates the function that deletes ended runs of all shards, oldest first. */
export function createExpiry(redis: RedisPort, { tags }: Shards) {
  const oldestFirst = createOldestFirst(redis)
  const script = defineScript(redis, REMOVE_ENDED_RUNS)

  return coalesceSweeps(async ({ outcome, ...bounds }: ExpirePolicy) => {
    const forget = (index: string): Promise<number> => {
      const tagOf = new Map(tags.map((tag) => [`${tag}:${index}`, tag]))
      return oldestFirst([...tagOf.keys()], bounds, async (deletions) => {
        const bounded = deletions.flatMap(({ key, upTo, limit }) => [tagOf.get(key)!, upTo, limit])
        return Number(await script([deletions[0]!.key], [index, ...bounded]))
      })
    }
    const counts = await Promise.all([forget(outcome), forget(`_${outcome}`)])
    return counts[0] + counts[1]
  })
}

/** The maximum number of streams in one call. */
const MAX_STREAMS = 200

/** Creates the function that deletes streams that are not runs, shard by shard. */
export function createForgetter(
  redis: RedisPort,
  { tagOf }: Shards,
): (heads: readonly StreamHead[]) => Promise<number> {
  const script = defineScript(redis, FORGET_STREAMS)

  async function forget(tag: string, heads: readonly StreamHead[]): Promise<number> {
    let total = 0
    for (let from = 0; from < heads.length;) {
      const some = heads.slice(from, from + MAX_STREAMS)
      const pairs = some.flatMap(({ stream, seq }) => [stream, seq])
      const [deleted, processed] = (await script([`${tag}:r:${some[0]!.stream}`], [tag, ...pairs])) as [number, number]
      total += deleted
      from += processed
    }
    return total
  }

  return async (heads) => {
    const byShard = Map.groupBy(heads, ({ stream }) => tagOf(stream))
    const counts = await Promise.all([...byShard].map(([tag, some]) => forget(tag, some)))
    return counts.reduce((sum, count) => sum + count, 0)
  }
}
