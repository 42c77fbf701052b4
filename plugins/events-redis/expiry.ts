import type { ExpirePolicy } from '../../kernel/index.ts'
import { defineScript, type RedisPort } from '../_shared/redis.ts'
import { createOldestFirst } from '../_shared/redis-oldest.ts'
import { onePerOutcome } from '../_shared/sweeps.ts'
import { FORGET } from './scripts.ts'
import type { Shards } from './shards.ts'

/** Forgets ended runs of all shards, what ended first in front. */
export function createExpiry(redis: RedisPort, { tags }: Shards) {
  const oldestFirst = createOldestFirst(redis)
  const script = defineScript(redis, FORGET)

  return onePerOutcome(({ outcome, ...bounds }: ExpirePolicy) => {
    const tagOf = new Map(tags.map((tag) => [`${tag}:${outcome}`, tag]))
    return oldestFirst([...tagOf.keys()], bounds, async (going) => {
      const bounded = going.flatMap(({ key, upTo, limit }) => [tagOf.get(key)!, upTo, limit])
      return Number(await script([going[0]!.key], [outcome, ...bounded]))
    })
  })
}
