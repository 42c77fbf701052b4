import type { Cluster, Redis } from 'ioredis'
import type { Reporter } from '../../../../kernel/index.ts'
import type { RedisClient } from '../lib/redis.ts'

/** The oldest server that knows what the scripts use, such as ids of stream entries with a given time. */
const OLDEST_SERVER = 7

/** Warns of settings under which Redis may lose what it has acknowledged. Servers may forbid to ask. */
export async function checkServer(client: RedisClient, reporter: Reporter): Promise<void> {
  const [node] = client.isCluster ? (client as Cluster).nodes('master') : [client as Redis]
  if (!node) return
  const about = await node.info('server').catch(() => '')
  const version = Number.parseInt(/redis_version:(\S+)/.exec(about)?.[1] ?? '', 10)
  if (version < OLDEST_SERVER) {
    reporter.warn(`Redis ${version} is older than ${OLDEST_SERVER}, which the queue plugins need.`)
  }
  const settings = await readSettings(node)
  const policy = settings.get('maxmemory-policy')
  if (policy !== undefined && policy !== 'noeviction') {
    const hint = 'Set maxmemory-policy to noeviction.'
    reporter.warn(`Redis may evict jobs and events when memory is short (maxmemory-policy ${policy}). ${hint}`)
  }
  const persistence = settings.get('appendonly')
  if (persistence === 'no') {
    const hint = 'Set appendonly to yes, and appendfsync to always for no loss at all.'
    reporter.warn(`Redis keeps no append-only file: what it acknowledged since its last dump is lost with it. ${hint}`)
  } else if (persistence === 'yes' && settings.get('appendfsync') !== 'always') {
    const hint = 'Set appendfsync to always for no loss at all.'
    const fsync = settings.get('appendfsync')
    reporter.warn(`Redis may lose its last second of jobs and events in a crash (appendfsync ${fsync}). ${hint}`)
  }
}

async function readSettings(node: Redis): Promise<Map<string, string>> {
  try {
    const names = ['maxmemory-policy', 'appendonly', 'appendfsync'] as const
    const settings = new Map<string, string>()
    for (const name of names) {
      // An array or, by protocol 3, a map.
      const reply: unknown = await node.config('GET', name)
      const value: unknown = Array.isArray(reply) ? reply[1] : (reply as Record<string, unknown>)[name]
      if (typeof value === 'string') settings.set(name, value)
    }
    return settings
  } catch {
    return new Map()
  }
}
