import type { Cluster, Redis } from 'ioredis'
import type { Diagnosis } from '../../../../kernel/index.ts'
import type { RedisClient } from '../lib/redis.ts'

/** The oldest supported version. The scripts need its commands, such as stream entry ids with a given time. */
const OLDEST_SERVER = 7
/** The share of the memory limit above which Redis is about to refuse jobs. */
const NEARLY_FULL = 0.8

/** Finds settings of Redis that allow it to lose acknowledged data. Skips settings that the server does not allow to read. */
export async function diagnoseServer(client: RedisClient): Promise<Diagnosis[]> {
  const [node] = client.isCluster ? (client as Cluster).nodes('master') : [client as Redis]
  if (!node) return []
  const about = await node.info().catch(() => '')
  const version = /redis_version:(\S+)/.exec(about)?.[1] ?? 'of an unknown version'
  const settings = await readSettings(node)
  const found = [
    ...diagnoseVersion(version),
    ...diagnoseMemory(about, settings),
    ...diagnoseEviction(settings),
    ...diagnosePersistence(settings),
  ]
  if (found.length > 0) return found
  const what = settings.size === 0 ? 'does not show its settings' : 'keeps all acknowledged data'
  return [{ check: 'redis', level: 'ok', message: `Redis ${version} ${what}.` }]
}

function diagnoseVersion(version: string): Diagnosis[] {
  if (!(Number.parseInt(version, 10) < OLDEST_SERVER)) return []
  const message = `The queue plugins need Redis ${OLDEST_SERVER} or later; got Redis ${version}.`
  return [{ check: 'redis.version', level: 'problem', message, hint: 'Update the server.' }]
}

function diagnoseMemory(about: string, settings: ReadonlyMap<string, string>): Diagnosis[] {
  const [used = 0, most = 0] = ['used_memory', 'maxmemory'].map((name) =>
    Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(about)?.[1] ?? 0),
  )
  if (most === 0 || used < NEARLY_FULL * most) return []
  const evicts = (settings.get('maxmemory-policy') ?? 'noeviction') !== 'noeviction'
  const then = evicts ? 'It removes jobs and events' : 'It refuses jobs'
  const message = `Redis uses ${Math.round((100 * used) / most)} % of its memory limit. ${then} when it is full.`
  const hint = 'Raise maxmemory, or keep less: see retention.'
  return [{ check: 'redis.memory', level: 'warning', message, hint }]
}

function diagnoseEviction(settings: ReadonlyMap<string, string>): Diagnosis[] {
  const policy = settings.get('maxmemory-policy')
  if (policy === undefined || policy === 'noeviction') return []
  const message = `Redis may evict jobs and events when memory is short (maxmemory-policy ${policy}).`
  return [{ check: 'redis.eviction', level: 'problem', message, hint: 'Set maxmemory-policy to noeviction.' }]
}

function diagnosePersistence(settings: ReadonlyMap<string, string>): Diagnosis[] {
  const [persistence, fsync] = [settings.get('appendonly'), settings.get('appendfsync')]
  if (persistence === 'no') {
    const message = 'Redis has no append-only file: a crash loses all data since its last snapshot (appendonly no).'
    const hint = 'Set appendonly to yes. Set appendfsync to always to lose nothing.'
    return [{ check: 'redis.persistence', level: 'problem', message, hint }]
  }
  if (persistence !== 'yes' || fsync === 'always') return []
  const message = `Redis may lose its last second of jobs and events in a crash (appendfsync ${fsync}).`
  return [{ check: 'redis.persistence', level: 'warning', message, hint: 'Set appendfsync to always to lose nothing.' }]
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
