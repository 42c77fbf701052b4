import type { ExpirePolicy } from '../../kernel/index.ts'
import { defineScript, type RedisPort } from '../_shared/redis.ts'
import { createOldestFirst, onePerOutcome, type EndedMember } from '../_shared/redis-oldest.ts'
import { FORGET } from './scripts.ts'
import type { Shards } from './shards.ts'

/** Forgets ended runs of all shards, what ended first in front. */
export function createExpiry(redis: RedisPort, { tags }: Shards) {
  const oldestFirst = createOldestFirst(redis)
  const script = defineScript(redis.client, FORGET)

  return onePerOutcome(({ outcome, ...bounds }: ExpirePolicy) => {
    const suffix = `:${outcome}`
    const forget = async (runs: readonly EndedMember[]): Promise<number> => {
      const groups = [...Map.groupBy(runs, ({ key }) => key)].map(([key, members]) => ({
        key,
        args: [key.slice(0, -suffix.length), members.length, ...members.map(({ member }) => member)],
      }))
      const together = redis.cluster ? groups.map((group) => [group]) : [groups]
      const calls = together.map((some) => script([some[0]!.key], [outcome, ...some.flatMap(({ args }) => args)]))
      return (await Promise.all(calls)).reduce<number>((sum, count) => sum + Number(count), 0)
    }
    return oldestFirst(
      tags.map((tag) => `${tag}${suffix}`),
      bounds,
      forget,
    )
  })
}
