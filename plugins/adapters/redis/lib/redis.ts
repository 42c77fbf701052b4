import { createHash } from 'node:crypto'
import type { Cluster, Redis } from 'ioredis'
import { QueueError, type Diagnosis, type Unsubscribe } from '../../../../kernel/index.ts'

export type RedisClient = Redis | Cluster

/** The state of an outage: whether Redis accepts calls. The start and the end of an outage are reported once each. */
export interface RedisOutage {
  /** Why Redis accepts no calls or no writes. `undefined` if it does. */
  readonly reason: QueueError | undefined
  /** Call this when Redis refused a call for a temporary reason. */
  refused(error: Error): void
  /** Call this when Redis accepted a call after it had refused one. */
  accepted(): void
  /** Waits before a refused call is sent again. Rejects immediately when the store is closed. */
  pause(ms: number): Promise<void>
}

/** One Redis for all plugins that store data in it. */
export interface RedisPort {
  /** The connection for commands of all plugins. Do not use it for blocking commands or subscriptions. */
  readonly client: RedisClient
  readonly cluster: boolean
  /** The prefix of every key. */
  readonly prefix: string
  /** Milliseconds without a renewal of the lease after which another worker runs the job. */
  readonly lease: number
  /** The number of hash slots for event streams. */
  readonly shards: number
  /** How long `enqueue` waits for an unavailable Redis, in milliseconds. */
  readonly enqueueTimeout: number
  /** The number of the database. Channels contain it, because Redis does not separate channels by database. */
  readonly database: number
  readonly outage: RedisOutage
  /** Compares this machine's clock with a reading of the clock of Redis. `askedAt` is `Date.now()` before the request. */
  compareClock(storeNow: number, askedAt: number): void
  /** Rejects with `STORE_UNAVAILABLE` unless Redis accepts a write. */
  checkHealth(): Promise<void>
  /** Finds settings of the server that lose data, and clocks that differ. */
  diagnose(): Promise<Diagnosis[]>
  /** Opens a separate connection for blocking commands or subscriptions. The caller closes it. */
  connect(): RedisClient
  /** Registers a callback for each time that the command connection is ready again. Returns a function that unregisters it. */
  onReconnect(callback: () => void): Unsubscribe
}

declare module 'nuxt-queue/kernel' {
  interface Ports {
    /** The Redis connection that the adapters share. */
    redis: RedisPort
  }
}

type Argument = string | number
export type Script = (keys: readonly string[], args: readonly Argument[]) => Promise<unknown>

/**
 * Errors with which Redis refuses a call for a temporary reason, before the call takes effect: another script is running, Redis is
 * loading its data, memory or disk is full, or the server is not a primary. Such a call may be sent again.
 */
const TEMPORARY_ERRORS = /^(?:BUSY|LOADING|OOM|MISCONF|READONLY|MASTERDOWN|NOREPLICAS|CLUSTERDOWN|TRYAGAIN)\b/
/** How long a refused call is sent again, in milliseconds. A call that a replica refused waits for a primary without a limit. */
const RETRY_TIMEOUT = 30_000
const FIRST_PAUSE = 50
const MAX_PAUSE = 1000

/** Returns true if Redis refused a call for a temporary reason. The call has not taken effect. */
export function isRefusal(error: unknown): error is Error {
  return error instanceof Error && TEMPORARY_ERRORS.test(error.message)
}

/** Returns true if Redis rejected a call because of its content. If the call contains several items, one may be the cause. */
export function isFault(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError' && !isRefusal(error)
}

/** @returns a `STORE_UNAVAILABLE` error that says why Redis accepts no calls */
export function unavailable(cause: unknown): QueueError {
  const why = cause instanceof Error ? cause.message : String(cause)
  const message = `Redis is not available: ${why} Try again when it is available.`
  return new QueueError('STORE_UNAVAILABLE', message, { cause })
}

/**
 * Defines a Lua script. It is called by its hash, and its text is sent only if the server does not know it. A call that Redis
 * refuses for a temporary reason is sent again for 30 seconds.
 *
 * @throws QueueError `STORE_UNAVAILABLE` if Redis keeps refusing the call
 */
export function defineScript({ client, outage }: Pick<RedisPort, 'client' | 'outage'>, lua: string): Script {
  const sha = createHash('sha1').update(lua).digest('hex')

  async function retry(error: unknown, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    const began = performance.now()
    let failure = error
    let refused = false
    for (let pause = FIRST_PAUSE; ; pause = Math.min(2 * pause, MAX_PAUSE)) {
      const unknown = failure instanceof Error && failure.message.startsWith('NOSCRIPT')
      if (!unknown) {
        if (!isRefusal(failure)) throw failure
        refused = true
        outage.refused(failure)
        const waits = failure.message.startsWith('READONLY') || performance.now() - began < RETRY_TIMEOUT
        if (!waits) throw unavailable(failure)
        await outage.pause(pause)
      }
      try {
        const result = await client.call('eval', [lua, keys.length, ...keys, ...args])
        if (refused) outage.accepted()
        return result
      } catch (again) {
        failure = again
      }
    }
  }

  return async (keys, args) => {
    try {
      return await client.call('evalsha', [sha, keys.length, ...keys, ...args])
    } catch (error) {
      return retry(error, keys, args)
    }
  }
}

/**
 * Returns the channel of a shard. Redis separates the databases of a server for keys but not for channels, so the name contains the
 * number of the database, except for database 0.
 */
export function wakeChannel(tag: string, database: number): string {
  return database === 0 ? `${tag}:wake` : `${tag}:wake:${database}`
}

/** Returns a hash tag. Redis Cluster stores all keys with the same tag in one slot. */
export function hashTag(name: string): string {
  return `{${name}}`
}
