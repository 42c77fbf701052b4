import type { Cluster, Redis } from 'ioredis'
import type { RedisClient } from './redis.ts'

/** How many keys, or fields of a hash, one call examines. */
export const STEP = 1000

/** Yields the keys that match a pattern in pages. A key may come again. */
export async function* pagesOf<T>(
  node: Redis,
  pattern: string,
  decode: (key: string) => T,
): AsyncGenerator<readonly T[]> {
  for (let cursor = '0'; ;) {
    const [next, keys] = await node.scan(cursor, 'MATCH', pattern, 'COUNT', STEP)
    if (keys.length > 0) yield keys.map(decode)
    if (next === '0') return
    cursor = next
  }
}

export function nodesOf(client: RedisClient): Redis[] {
  return client.isCluster ? (client as Cluster).nodes('master') : [client as Redis]
}

/** Escapes the characters that have a meaning in patterns. */
export const escapePattern = (text: string): string => text.replaceAll(/[\\*?[\]^]/g, String.raw`\$&`)
