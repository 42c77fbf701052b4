import { crc32 } from 'node:zlib'
import { QueueError } from '../../../../kernel/index.ts'
import { defineScript, hashTag, type RedisPort } from '../lib/redis.ts'
import { INDEX_LONG } from './run-scripts.ts'

export interface Shards {
  /** The prefix of the keys of each shard: a hash tag, so that all keys of a shard are in one slot. */
  readonly tags: readonly string[]
  indexOf(stream: string): number
  hashOf(stream: string): number
  tagOf(stream: string): string
}

export function createShards({ prefix, shards }: RedisPort): Shards {
  const tags = Array.from({ length: shards }, (_, index) => hashTag(`${prefix}:s${index}`))
  // With a single shard, which is the common case, no hash is needed.
  const indexOf = (stream: string): number => (shards === 1 ? 0 : crc32(stream) % shards)
  return { tags, indexOf, hashOf: (stream) => crc32(stream), tagOf: (stream) => tags[indexOf(stream)]! }
}

/**
 * Stores the number of shards at the first start, and checks it at every later start. The shard of a stream depends on it.
 *
 * @throws QueueError `CONFIG_INVALID` if the stored number differs
 */
export async function fixShards(redis: RedisPort): Promise<void> {
  const { client, prefix, shards } = redis
  const key = `${prefix}:events`
  await client.hsetnx(key, 'shards', shards)
  const stored = Number(await client.hget(key, 'shards'))
  if (stored === shards) return indexLongRuns(redis)
  const hint = `Set redis.shards to ${stored}, or use another redis.prefix.`
  throw new QueueError(
    'CONFIG_INVALID',
    `The events under "${prefix}" are stored in ${stored} shards, but redis.shards is ${shards}. ${hint}`,
  )
}

/** The number of runs that one call reads. */
const PAGE = 500

/** Adds the runs of earlier releases to the index `long`. Does nothing after it has completed once. */
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
