import type { Limits } from '../../kernel/index.ts'
import { defineScript, hashTag, type RedisPort } from '../_shared/redis.ts'
import { ACQUIRE, RELEASE, TAKE } from './limits-scripts.ts'

/** Counters that all instances share, timed by Redis. Each key lives in a slot of its own and expires by itself. */
export function createRedisLimits(redis: RedisPort): Limits {
  const { prefix } = redis
  const acquire = defineScript(redis, ACQUIRE)
  const release = defineScript(redis, RELEASE)
  const take = defineScript(redis, TAKE)
  // A tag ends at the first brace, so those of a name are written in another way.
  const keyOf = (kind: string, name: string): string =>
    `${prefix}:${kind}:${hashTag(name.replaceAll(/[%{}]/g, encodeURIComponent))}`

  return {
    async acquire(key, max, ttl, holder) {
      return (await acquire([keyOf('places', key), keyOf('line', key)], [max, ttl, holder])) === 1
    },
    async release(key, holder) {
      return (await release([keyOf('places', key), keyOf('line', key)], [holder])) as string[]
    },
    async take(bucket, { max, duration }, holder) {
      const args = holder === undefined ? [max, duration] : [max, duration, holder]
      const wait = await take([keyOf('starts', bucket), keyOf('planned', bucket), keyOf('reserved', bucket)], args)
      return Number(wait)
    },
  }
}
