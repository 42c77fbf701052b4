import type { HandedPermit, Limits } from '../../../../kernel/index.ts'
import { defineScript, hashTag, type RedisPort } from '../lib/redis.ts'
import { ACQUIRE, CHECK_KEY, DUE_KEYS, RELEASE, RENEW_PERMIT, TAKE } from './limits-scripts.ts'

/** How many keys one look of a sweep is for, and how many looks there are at most. */
const PAGE = 100
const MOST_PAGES = 20

/** Counters that all instances share, timed by Redis. Each key lives in a slot of its own and expires by itself. */
export function createRedisLimits(redis: RedisPort): Limits {
  const { client, prefix } = redis
  const acquire = defineScript(redis, ACQUIRE)
  const release = defineScript(redis, RELEASE)
  const renew = defineScript(redis, RENEW_PERMIT)
  const checkKey = defineScript(redis, CHECK_KEY)
  const dueKeys = defineScript(redis, DUE_KEYS)
  const take = defineScript(redis, TAKE)
  /** The keys in which somebody waits, by when somebody last looked. */
  const lines = `${prefix}:permit-lines`
  // A tag ends at the first brace, so those of a name are written in another way.
  const keyOf = (kind: string, name: string): string =>
    `${prefix}:${kind}:${hashTag(name.replaceAll(/[%{}]/g, encodeURIComponent))}`
  const keysOf = (name: string): string[] => [keyOf('places', name), keyOf('line', name), keyOf('claims', name)]

  /** Whoever joins meanwhile adds the key behind its line, so that one of both is seen. */
  async function forgetLine(key: string): Promise<void> {
    await client.zrem(lines, key)
    if ((await client.zcard(keyOf('line', key))) > 1) await client.zadd(lines, 'NX', 0, key)
  }

  async function check(key: string, age: number): Promise<HandedPermit[]> {
    const [pending, holders] = (await checkKey(keysOf(key), [age])) as [number, string[]]
    if (pending === 0) await forgetLine(key)
    return holders.map((holder) => ({ key, holder }))
  }

  return {
    async acquire(key, max, ttl, holder, claim = 1) {
      const answer = await acquire(keysOf(key), [max, ttl, holder, claim])
      if (answer === 0) await client.zadd(lines, 'NX', 0, key)
      return answer === 1
    },
    async release(key, holder, claim) {
      return (await release(keysOf(key), [holder, claim ?? ''])) as string[]
    },
    async renew(permits, ttl) {
      const kept = await Promise.all(
        permits.map(({ key, max, holder, claim }) => renew(keysOf(key), [max, ttl, holder, claim])),
      )
      return permits.filter((_permit, index) => kept[index] !== 1)
    },
    async sweep(age) {
      const found: HandedPermit[] = []
      for (let page = 0; page < MOST_PAGES; page++) {
        const due = (await dueKeys([lines], [age, PAGE])) as string[]
        found.push(...(await Promise.all(due.map((key) => check(key, age)))).flat())
        if (due.length < PAGE) break
      }
      return found
    },
    async take(bucket, { max, duration }, holder) {
      const args = holder === undefined ? [max, duration] : [max, duration, holder]
      const wait = await take([keyOf('starts', bucket), keyOf('planned', bucket), keyOf('reserved', bucket)], args)
      return Number(wait)
    },
  }
}
