import type { ExpirePolicy } from '../../kernel/index.ts'
import { defineScript, type RedisPort } from '../_shared/redis.ts'
import { createOldestFirst, type EndedMember } from '../_shared/redis-oldest.ts'
import { FORGET } from './scripts.ts'
import type { Shards } from './shards.ts'

/** Forgets ended runs of all shards, what ended first in front. */
export function createExpiry(redis: RedisPort, { tags }: Shards) {
  const oldestFirst = createOldestFirst(redis)
  const script = defineScript(redis.client, FORGET)

  return ({ outcome, ...bounds }: ExpirePolicy): Promise<number> => {
    const suffix = `:${outcome}`
    const forget = async (runs: readonly EndedMember[]): Promise<number> => {
      const groups = redis.cluster ? [...Map.groupBy(runs, ({ key }) => key).values()] : [runs]
      const calls = groups.map((group) =>
        script(
          [group[0]!.key],
          [outcome, ...group.flatMap(({ key, member }) => [key.slice(0, -suffix.length), member])],
        ),
      )
      return (await Promise.all(calls)).reduce<number>((sum, count) => sum + Number(count), 0)
    }
    return oldestFirst(
      tags.map((tag) => `${tag}${suffix}`),
      bounds,
      forget,
    )
  }
}
