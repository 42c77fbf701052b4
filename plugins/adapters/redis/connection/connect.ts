import type * as ioredis from 'ioredis'
import type { ClusterOptions, Redis, RedisOptions } from 'ioredis'
import { QueueError } from '../../../../kernel/index.ts'
import type { RedisClient } from '../lib/redis.ts'
import type { RedisPluginOptions } from './options.ts'

/** The longest pause between two tries to connect, in milliseconds. */
const LONGEST_RETRY = 2000
/** How long a client that was told READONLY waits before it looks for the primary: first, and at most. */
const FIRST_LOOK = 50
const LONGEST_LOOK = 5000

/** Waits for a server that is away, however long: commands queue up and go out when it is back. */
const PATIENT = {
  maxRetriesPerRequest: null,
  enableReadyCheck: true,
  retryStrategy: (times: number) => Math.min(50 * times, LONGEST_RETRY),
} as const satisfies RedisOptions

/**
 * A server that fails over refuses writes until the client connects anew and finds the new primary. One that stays a
 * replica is asked less and less often.
 */
function lookForPrimary(onRefused: (error: Error) => void): NonNullable<RedisOptions['reconnectOnError']> {
  let pause = FIRST_LOOK
  let nextLook = 0
  return (error) => {
    if (!error.message.startsWith('READONLY')) return false
    onRefused(error)
    const now = performance.now()
    if (now < nextLook) return false
    // After a long time without a refusal, this is another failover.
    pause = now - nextLook > 2 * LONGEST_LOOK ? FIRST_LOOK : Math.min(2 * pause, LONGEST_LOOK)
    nextLook = now + pause
    return 1
  }
}

async function loadIoredis(): Promise<Pick<typeof ioredis, 'Redis' | 'Cluster'>> {
  try {
    return await import('ioredis')
  } catch (error) {
    const message = 'The Redis plugins need the package "ioredis". Install it: npm install ioredis bullmq'
    throw new QueueError('PLUGIN_REQUIRES', message, { cause: error })
  }
}

export interface Connector {
  /** Makes one more connection by the same configuration. Connecting is the caller's. */
  open(): RedisClient
  readonly database: number
}

/** @throws QueueError `CONFIG_INVALID` when it cannot be told where Redis is, or an option would not be honoured */
export async function createConnector(
  { url = process.env.REDIS_URL, options = {}, cluster }: RedisPluginOptions,
  onRefused: (error: Error) => void,
): Promise<Connector> {
  const client = await loadIoredis()
  const own = (): RedisOptions => ({ ...PATIENT, reconnectOnError: lookForPrimary(onRefused), ...options })
  refuseKeyPrefix({ ...options, ...cluster?.options, ...cluster?.options?.redisOptions })
  if (cluster) {
    const open = (): RedisClient => {
      const clusterOptions: ClusterOptions = {
        ...cluster.options,
        lazyConnect: true,
        shardedSubscribers: true,
        clusterRetryStrategy: PATIENT.retryStrategy,
        redisOptions: { ...own(), ...cluster.options?.redisOptions, ...options },
      }
      return shared(new client.Cluster(cluster.nodes, clusterOptions))
    }
    return { open, database: 0 }
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
  if (url !== undefined) checkUrl(url)
  const open = (): Redis => {
    const all: RedisOptions = { ...own(), lazyConnect: true }
    return shared(url === undefined ? new client.Redis(all) : new client.Redis(url, all))
  }
  const probe = open()
  const { db = 0 } = probe.options
  refuseKeyPrefix(probe.options)
  probe.disconnect()
  if (!Number.isInteger(db) || db < 0) {
    throw new QueueError('CONFIG_INVALID', `The number of a Redis database is a whole number from 0; got ${db}.`)
  }
  return { open, database: db }
}

/** ioredis takes "5x" for database 5, "x" for none, and any scheme for its own. The URL holds a password: it is not shown. */
function checkUrl(url: string): void {
  if (url.startsWith('/')) return
  const given = /^([a-z][a-z0-9+.-]*):\/\//i.exec(url)?.[1]?.toLowerCase()
  if (given !== undefined && given !== 'redis' && given !== 'rediss') {
    const expected = 'The URL of Redis (REDIS_URL or redis.url) begins with redis:// or rediss://'
    throw new QueueError('CONFIG_INVALID', `${expected}; got "${given}://".`)
  }
  const parsed = URL.parse(given === undefined ? `redis://${url}` : url)
  if (!parsed) {
    const hint = 'Percent-encode ":", "/", "@", "#" and "%" in its user name and password.'
    throw new QueueError('CONFIG_INVALID', `The URL of Redis (REDIS_URL or redis.url) cannot be read. ${hint}`)
  }
  const database = parsed.pathname.slice(1)
  if (/^\d*$/.test(database)) return
  const expected = 'The path of the URL of Redis (REDIS_URL or redis.url) is the number of a database'
  throw new QueueError('CONFIG_INVALID', `${expected}; got "${database}". Write for example redis://host:6379/0.`)
}

/** Scripts make names of keys, which ioredis would not see. */
function refuseKeyPrefix({ keyPrefix }: RedisOptions): void {
  if (!keyPrefix) return
  const hint = 'Set redis.prefix, which every key starts with.'
  throw new QueueError('CONFIG_INVALID', `The option "keyPrefix" of ioredis does not reach Lua scripts. ${hint}`)
}

/** Every queue listens to its connection: more than ten of them are no leak that Node would have to warn of. */
function shared<Client extends RedisClient>(client: Client): Client {
  client.setMaxListeners(Infinity)
  // ioredis would go on in database 0.
  client.on('error', (error: unknown) => void (isSelectFailure(error) && client.disconnect(true)))
  return client
}

function isSelectFailure(error: unknown): boolean {
  return (error as { command?: { name?: string } } | undefined)?.command?.name === 'select'
}

/** What trying again does not mend: the database is not there, or the user may not connect. */
function isFinal(error: unknown): error is Error {
  return isSelectFailure(error) || (error instanceof Error && /^(?:WRONGPASS|NOAUTH|NOPERM)\b/.test(error.message))
}

/** Connects, or says within `timeout` milliseconds why not. */
export async function connectWithin(client: RedisClient, timeout: number): Promise<void> {
  let last: unknown
  const late = Promise.withResolvers<never>()
  const refuse = (error: Error): void => {
    const hint = 'Correct REDIS_URL or the section "redis" of the configuration.'
    const message = `Redis at ${describe(client)} does not let us in: ${error.message}. ${hint}`
    late.reject(new QueueError('CONFIG_INVALID', message, { cause: error }))
  }
  const note = (error: unknown): void => {
    last = error
    if (isFinal(error)) refuse(error)
  }
  client.on('error', note)
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

/** Ends a connection whatever it is waiting for. */
export function disconnect(client: RedisClient): void {
  client.on('error', () => {})
  client.disconnect()
}

/** Where a client connects to, for messages. */
export function describe(client: RedisClient): string {
  if (client.isCluster) return 'the cluster'
  const { host, port, path, sentinels } = (client as Redis).options
  return sentinels ? 'the Sentinel group' : (path ?? `${host}:${port}`)
}
