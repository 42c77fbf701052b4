import type { Cluster, Redis } from 'ioredis'
import type { Reporter } from '../../../../kernel/index.ts'
import type { RedisClient } from '../lib/redis.ts'

/** The oldest supported version. The scripts need its commands, such as stream entry ids with a given time. */
const OLDEST_SERVER = 7

/** Warns if settings of Redis allow it to lose acknowledged data. Skips settings that the server does not allow to read. */
export async function checkServer(client: RedisClient, reporter: Reporter): Promise<void> {
  const [node] = client.isCluster ? (client as Cluster).nodes('master') : [client as Redis]
  if (!node) return
  const about = await node.info('server').catch(() => '')
  const version = Number.parseInt(/redis_version:(\S+)/.exec(about)?.[1] ?? '', 10)
  if (version < OLDEST_SERVER) {
    reporter.warn(`The queue plugins need Redis ${OLDEST_SERVER} or later; got Redis ${version}. Update the server.`)
  }
  const settings = await readSettings(node)
  const policy = settings.get('maxmemory-policy')
  if (policy !== undefined && policy !== 'noeviction') {
    const hint = 'Set maxmemory-policy to noeviction.'
    reporter.warn(`Redis may evict jobs and events when memory is short (maxmemory-policy ${policy}). ${hint}`)
  }
  const persistence = settings.get('appendonly')
  if (persistence === 'no') {
    const hint = 'Set appendonly to yes. Set appendfsync to always to lose nothing.'
    reporter.warn(
      `Redis has no append-only file: a crash loses all data since its last snapshot (appendonly no). ${hint}`,
    )
  } else if (persistence === 'yes' && settings.get('appendfsync') !== 'always') {
    const hint = 'Set appendfsync to always to lose nothing.'
    const fsync = settings.get('appendfsync')
    reporter.warn(`Redis may lose its last second of jobs and events in a crash (appendfsync ${fsync}). ${hint}`)
  }
}

async function readSettings(node: Redis): Promise<Map<string, string>> {
  try {
    const names = ['maxmemory-policy', 'appendonly', 'appendfsync'] as const
    const settings = new Map<string, string>()
    for (const name of names) {
      // The reply is an array, or a map in protocol version 3.
      const reply: unknown = await node.config('GET', name)
      const value: unknown = Array.isArray(reply) ? reply[1] : (reply as Record<string, unknown>)[name]
      if (typeof value === 'string') settings.set(name, value)
    }
    return settings
  } catch {
    return new Map()
  }
}
