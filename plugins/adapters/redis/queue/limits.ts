import type { HandedPermit, Limits } from '../../../../kernel/index.ts'
import { defineScript, hashTag, type RedisPort } from '../lib/redis.ts'
import { ACQUIRE, CHECK_KEY, DUE_KEYS, RELEASE, RENEW_PERMIT, TAKE, TAKE_BACK } from './limits-scripts.ts'

/** The number of keys that a sweep checks at once, and the maximum number of such pages per sweep. */
const PAGE = 100
const MAX_PAGES = 20

/** Creates limits that all instances share. They use the time of Redis. Each key has its own slot and expires by itself. */
export function createRedisLimits(redis: RedisPort): Limits {
  const { client, prefix } = redis
  const acquire = defineScript(redis, ACQUIRE)
  const release = defineScript(redis, RELEASE)
  const renew = defineScript(redis, RENEW_PERMIT)
  const checkKey = defineScript(redis, CHECK_KEY)
  const dueKeys = defineScript(redis, DUE_KEYS)
  const take = defineScript(redis, TAKE)
  const takeBack = defineScript(redis, TAKE_BACK)
  /** A sorted set of the limit keys with waiters, by the moment of their last check. */
  const keysWithWaiters = `${prefix}:permit-lines`
  // A hash tag ends at the first brace, so braces in a name are escaped.
  const keyOf = (kind: string, name: string): string =>
    `${prefix}:${kind}:${hashTag(name.replaceAll(/[%{}]/g, encodeURIComponent))}`
  const keysOf = (name: string): string[] => [keyOf('places', name), keyOf('line', name), keyOf('claims', name)]

  /**
   * Removes a key without waiters. A new waiter is stored before its key is added, so the check after the removal finds a waiter that
   * arrived meanwhile.
   */
  async function removeKey(key: string): Promise<void> {
    await client.zrem(keysWithWaiters, key)
    if ((await client.zcard(keyOf('line', key))) > 1) await client.zadd(keysWithWaiters, 'NX', 0, key)
  }

  async function check(key: string, age: number): Promise<HandedPermit[]> {
    const [pending, holders] = (await checkKey(keysOf(key), [age])) as [number, string[]]
    if (pending === 0) await removeKey(key)
    return holders.map((holder) => ({ key, holder }))
  }

  return {
    async acquire(key, max, ttl, holder, claim = 1) {
      const result = await acquire(keysOf(key), [max, ttl, holder, claim])
      if (result === 0) await client.zadd(keysWithWaiters, 'NX', 0, key)
      return result === 1
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
      for (let page = 0; page < MAX_PAGES; page++) {
        const due = (await dueKeys([keysWithWaiters], [age, PAGE])) as string[]
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
    async takeBack(bucket) {
      await takeBack([keyOf('starts', bucket), keyOf('planned', bucket)], [])
    },
  }
}
