import { crc32 } from 'node:zlib'
import { QueueError } from '../../kernel/index.ts'
import { hashTag, type RedisPort } from '../_shared/redis.ts'

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
export async function fixShards({ client, prefix, shards }: RedisPort): Promise<void> {
  const key = `${prefix}:events`
  await client.hsetnx(key, 'shards', shards)
  const stored = Number(await client.hget(key, 'shards'))
  if (stored === shards) return
  const hint = `Set redis.shards to ${stored}, or use another redis.prefix.`
  throw new QueueError('CONFIG_INVALID', `The events under "${prefix}" lie in ${stored} shards, not ${shards}. ${hint}`)
}

/** Calls with all shards at once, or where each has a node of its own, with one at a time. */
export async function inGroups<T>(
  { cluster }: Pick<RedisPort, 'cluster'>,
  { tags }: Shards,
  call: (tags: readonly string[]) => Promise<T>,
): Promise<T[]> {
  return cluster ? Promise.all(tags.map((tag) => call([tag]))) : [await call(tags)]
}
