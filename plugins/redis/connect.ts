import type * as ioredis from 'ioredis'
import type { ClusterOptions, Redis, RedisOptions } from 'ioredis'
import { QueueError, type Reporter } from '../../kernel/index.ts'
import type { RedisClient } from '../_shared/redis.ts'
import type { RedisPluginOptions } from './options.ts'

/** The longest pause between two tries to connect, in milliseconds. */
const LONGEST_RETRY = 2000

/** Waits for a server that is away, however long: commands queue up and go out when it is back. */
const PATIENT = {
  maxRetriesPerRequest: null,
  enableReadyCheck: true,
  lazyConnect: true,
  retryStrategy: (times: number) => Math.min(50 * times, LONGEST_RETRY),
  // A server that fails over answers READONLY until the client looks for the new primary.
  reconnectOnError: (error: Error) => (error.message.startsWith('READONLY') ? 2 : false),
} as const satisfies RedisOptions

async function loadIoredis(): Promise<Pick<typeof ioredis, 'Redis' | 'Cluster'>> {
  try {
    return await import('ioredis')
  } catch (error) {
    const message = 'The Redis plugins need the package "ioredis". Install it: npm install ioredis bullmq'
    throw new QueueError('PLUGIN_REQUIRES', message, { cause: error })
  }
}

/** Answers what makes one more connection by the same configuration. Connecting is the caller's. */
export async function createConnector({
  url = process.env.REDIS_URL,
  options = {},
  cluster,
}: RedisPluginOptions): Promise<() => RedisClient> {
  const client = await loadIoredis()
  if (cluster) {
    const clusterOptions: ClusterOptions = {
      ...cluster.options,
      lazyConnect: true,
      shardedSubscribers: true,
      clusterRetryStrategy: PATIENT.retryStrategy,
      redisOptions: { ...PATIENT, ...cluster.options?.redisOptions, ...options },
    }
    return () => shared(new client.Cluster(cluster.nodes, clusterOptions))
  }
  if (
    url === undefined &&
    options.host === undefined &&
    options.sentinels === undefined &&
    options.path === undefined
  ) {
    const hint = 'Set REDIS_URL, or redis.url, redis.options or redis.cluster in the configuration.'
    throw new QueueError('CONFIG_INVALID', `The Redis plugins need to know where Redis is. ${hint}`)
  }
  const all: RedisOptions = { ...PATIENT, ...options }
  return () => shared(url === undefined ? new client.Redis(all) : new client.Redis(url, all))
}

/** Every queue listens to its connection: more than ten of them are no leak that Node would have to warn of. */
function shared(client: RedisClient): RedisClient {
  client.setMaxListeners(Infinity)
  return client
}

/** Connects, or says within `timeout` milliseconds why not. */
export async function connectWithin(client: RedisClient, timeout: number): Promise<void> {
  let last: unknown
  const note = (error: unknown): void => void (last = error)
  client.on('error', note)
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    const why = last instanceof Error ? `: ${last.message || String((last as { code?: string }).code)}` : ''
    const hint = 'Start it, or correct REDIS_URL or the section "redis" of the configuration.'
    const message = `Redis at ${describe(client)} did not answer within ${timeout} ms${why}. ${hint}`
    late.reject(new QueueError('PLUGIN_SETUP_FAILED', message, { cause: last }))
  }, timeout)
  try {
    // The first try may fail where a later one succeeds: `ready` is what counts.
    const ready = new Promise<void>((resolve) => void client.once('ready', resolve))
    client.connect().catch(note)
    await Promise.race([ready, late.promise])
  } finally {
    clearTimeout(timer)
    client.off('error', note)
  }
}

/** Tells of an outage once, and of its end, however often the client tries meanwhile. */
export function reportOutages(client: RedisClient, reporter: Reporter): void {
  let away = false
  client.on('error', (error: Error) => {
    if (away) return
    away = true
    reporter.error(`The connection to Redis at ${describe(client)} was lost; waiting for it to come back.`, error)
  })
  client.on('ready', () => {
    if (away) reporter.warn(`The connection to Redis at ${describe(client)} is back.`)
    away = false
  })
}

/** Ends a connection whatever it is waiting for. */
export function disconnect(client: RedisClient): void {
  client.on('error', () => {})
  client.disconnect()
}

function describe(client: RedisClient): string {
  if (client.isCluster) return 'the cluster'
  const { host, port, path, sentinels } = (client as Redis).options
  return sentinels ? 'the Sentinel group' : (path ?? `${host}:${port}`)
}
