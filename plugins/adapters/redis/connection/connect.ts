import type * as ioredis from 'ioredis'
import type { ClusterOptions, Redis, RedisOptions } from 'ioredis'
import { QueueError } from '../../../../kernel/index.ts'
import { loadPackage } from '../../../lib/optional-package.ts'
import type { RedisClient } from '../lib/redis.ts'
import type { RedisPluginOptions } from './options.ts'

/** The longest pause between two attempts to connect, in milliseconds. */
const MAX_RETRY_DELAY = 2000
/** The first and the longest pause between two searches for the primary after a READONLY error, in milliseconds. */
const FIRST_SEARCH_DELAY = 50
const MAX_SEARCH_DELAY = 5000

/** Options of a client that waits for an unavailable server without a limit. Commands are queued and sent when it is back. */
const UNLIMITED_RETRIES = {
  maxRetriesPerRequest: null,
  enableReadyCheck: true,
  retryStrategy: (times: number) => Math.min(50 * times, MAX_RETRY_DELAY),
} as const satisfies RedisOptions

/**
 * Returns a `reconnectOnError` that looks for the new primary after a failover: a former primary refuses writes until the client
 * reconnects. If the server stays a replica, the pauses between reconnections grow.
 */
function lookForPrimary(onRefused: (error: Error) => void): NonNullable<RedisOptions['reconnectOnError']> {
  let pause = FIRST_SEARCH_DELAY
  let nextLook = 0
  return (error) => {
    if (!error.message.startsWith('READONLY')) return false
    onRefused(error)
    const now = performance.now()
    if (now < nextLook) return false
    // After a long time without a READONLY error, this is a new failover.
    pause = now - nextLook > 2 * MAX_SEARCH_DELAY ? FIRST_SEARCH_DELAY : Math.min(2 * pause, MAX_SEARCH_DELAY)
    nextLook = now + pause
    return 1
  }
}

function loadIoredis(): Promise<Pick<typeof ioredis, 'Redis' | 'Cluster'>> {
  return loadPackage(() => import('ioredis'), 'The plugin "redis"', 'ioredis bullmq')
}

export interface Connector {
  /** Creates another client with the same configuration. The caller connects it. */
  open(): RedisClient
  readonly database: number
}

/** @throws QueueError `CONFIG_INVALID` if the address of Redis is unknown or malformed, or if an option is not supported */
export async function createConnector(
  { url = process.env.REDIS_URL, options = {}, cluster }: RedisPluginOptions,
  onRefused: (error: Error) => void,
): Promise<Connector> {
  const client = await loadIoredis()
  const own = (): RedisOptions => ({ ...UNLIMITED_RETRIES, reconnectOnError: lookForPrimary(onRefused), ...options })
  refuseKeyPrefix({ ...options, ...cluster?.options, ...cluster?.options?.redisOptions })
  if (cluster) {
    const open = (): RedisClient => {
      const clusterOptions: ClusterOptions = {
        ...cluster.options,
        lazyConnect: true,
        shardedSubscribers: true,
        clusterRetryStrategy: UNLIMITED_RETRIES.retryStrategy,
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
    throw new QueueError('CONFIG_INVALID', `The address of Redis is not configured. ${hint}`)
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
    throw new QueueError('CONFIG_INVALID', `The number of the Redis database must be an integer from 0; got ${db}.`)
  }
  return { open, database: db }
}

/**
 * Checks the URL. ioredis would read "5x" as database 5, ignore "x", and accept any scheme. Errors never show the URL, because it
 * contains a password.
 */
function checkUrl(url: string): void {
  if (url.startsWith('/')) return
  const given = /^([a-z][a-z0-9+.-]*):\/\//i.exec(url)?.[1]?.toLowerCase()
  if (given !== undefined && given !== 'redis' && given !== 'rediss') {
    const expected = 'The Redis URL (REDIS_URL or redis.url) must begin with redis:// or rediss://'
    throw new QueueError('CONFIG_INVALID', `${expected}; got "${given}://".`)
  }
  const parsed = URL.parse(given === undefined ? `redis://${url}` : url)
  if (!parsed) {
    const hint = 'Percent-encode ":", "/", "@", "#" and "%" in its user name and password.'
    throw new QueueError('CONFIG_INVALID', `The Redis URL (REDIS_URL or redis.url) is not a valid URL. ${hint}`)
  }
  const database = parsed.pathname.slice(1)
  if (/^\d*$/.test(database)) return
  const expected = 'The path of the Redis URL (REDIS_URL or redis.url) must be the number of a database'
  throw new QueueError('CONFIG_INVALID', `${expected}; got "${database}". Use for example redis://host:6379/0.`)
}

/** Rejects `keyPrefix`. Lua scripts build names of keys, to which ioredis cannot add the prefix. */
function refuseKeyPrefix({ keyPrefix }: RedisOptions): void {
  if (!keyPrefix) return
  const hint = 'Use redis.prefix instead.'
  throw new QueueError(
    'CONFIG_INVALID',
    `The ioredis option "keyPrefix" is not supported, because it does not apply to Lua scripts. ${hint}`,
  )
}

/** Prepares a client that many queues share: without a limit of listeners, so that Node does not warn of a leak. */
function shared<Client extends RedisClient>(client: Client): Client {
  client.setMaxListeners(Infinity)
  // After a failed SELECT, ioredis would continue in database 0.
  client.on('error', (error: unknown) => void (isSelectFailure(error) && client.disconnect(true)))
  return client
}

function isSelectFailure(error: unknown): boolean {
  return (error as { command?: { name?: string } } | undefined)?.command?.name === 'select'
}

/** Returns true for errors that a retry cannot solve: the database does not exist, or the user is not allowed to connect. */
function isPermanent(error: unknown): error is Error {
  return isSelectFailure(error) || (error instanceof Error && /^(?:WRONGPASS|NOAUTH|NOPERM)\b/.test(error.message))
}

/**
 * Connects a client.
 *
 * @param timeout how long to try, in milliseconds
 * @throws QueueError `CONFIG_INVALID` if Redis rejects the credentials or the database, `STORE_UNAVAILABLE` after the timeout
 */
export async function connectWithin(client: RedisClient, timeout: number): Promise<void> {
  let last: unknown
  const failed = Promise.withResolvers<never>()
  const refuse = (error: Error): void => {
    const hint = 'Correct REDIS_URL or the section "redis" of the configuration.'
    const message = `Redis at ${describe(client)} rejected the connection: ${error.message}. ${hint}`
    failed.reject(new QueueError('CONFIG_INVALID', message, { cause: error }))
  }
  const onError = (error: unknown): void => {
    last = error
    if (isPermanent(error)) refuse(error)
  }
  client.on('error', onError)
  const timer = setTimeout(() => {
    const why = last instanceof Error ? `: ${last.message || String((last as { code?: string }).code)}` : ''
    const hint = 'Start Redis, or correct REDIS_URL or the section "redis" of the configuration.'
    const message = `Redis at ${describe(client)} did not respond within ${timeout} ms${why}. ${hint}`
    failed.reject(new QueueError('STORE_UNAVAILABLE', message, { cause: last }))
  }, timeout)
  try {
    // A later attempt may succeed after the first one failed, so this waits for `ready`.
    const ready = new Promise<void>((resolve) => void client.once('ready', resolve))
    client.connect().catch(onError)
    await Promise.race([ready, failed.promise])
  } finally {
    clearTimeout(timer)
    client.off('error', onError)
  }
}

/** Closes a connection immediately, without waiting for its commands. */
export function disconnect(client: RedisClient): void {
  client.on('error', () => {})
  client.disconnect()
}

/** Returns the address of a client for messages. */
export function describe(client: RedisClient): string {
  if (client.isCluster) return 'the cluster'
  const { host, port, path, sentinels } = (client as Redis).options
  return sentinels ? 'the Sentinel group' : (path ?? `${host}:${port}`)
}
