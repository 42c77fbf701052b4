import { crc32 } from 'node:zlib'
import { QueueError } from '../../../../kernel/index.ts'
import { defineScript, hashTag, type RedisPort } from '../lib/redis.ts'
import { INDEX_LONG } from './run-scripts.ts'

export interface Shards {
  /** What the keys of each shard start with: a hash tag, so that a shard lives in one slot. */
  readonly tags: readonly string[]
  indexOf(stream: string): number
  hashOf(stream: string): number
  tagOf(stream: string): string
}

export function createShards({ prefix, shards }: RedisPort): Shards {
  const tags = Array.from({ length: shards }, (_, index) => hashTag(`${prefix}:s${index}`))
  // Most calls have one shard, whose index is known.
  const indexOf = (stream: string): number => (shards === 1 ? 0 : crc32(stream) % shards)
  return { tags, indexOf, hashOf: (stream) => crc32(stream), tagOf: (stream) => tags[indexOf(stream)]! }
}

/**
 * Streams are found by the number of shards, so the store remembers the first one.
 *
 * @throws QueueError `CONFIG_INVALID` when it differs
 */
export async function fixShards(redis: RedisPort): Promise<void> {
  const { client, prefix, shards } = redis
  const key = `${prefix}:events`
  await client.hsetnx(key, 'shards', shards)
  const stored = Number(await client.hget(key, 'shards'))
  if (stored === shards) return indexLongRuns(redis)
  const hint = `Set redis.shards to ${stored}, or use another redis.prefix.`
  throw new QueueError('CONFIG_INVALID', `The events under "${prefix}" lie in ${stored} shards, not ${shards}. ${hint}`)
}

/** How many runs one call looks at. */
const PAGE = 500

/** Runs that ended before there was an index of long ones are put into it, once. */
async function indexLongRuns(redis: RedisPort): Promise<void> {
  const { client, prefix } = redis
  const key = `${prefix}:events`
  if ((await client.hget(key, 'long')) !== null) return
  const index = defineScript(redis, INDEX_LONG)
  for (const tag of createShards(redis).tags) {
    for (const outcome of ['completed', 'failed', 'cancelled']) {
      for (let from = 0; ; from += PAGE) {
        if ((await index([`${tag}:long`], [tag, outcome, from, PAGE])) === 0) break
      }
    }
  }
  await client.hset(key, 'long', 1)
}
