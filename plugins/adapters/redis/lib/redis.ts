import { createHash } from 'node:crypto'
import type { Cluster, Redis } from 'ioredis'
import { QueueError, type Unsubscribe } from '../../../../kernel/index.ts'

export type RedisClient = Redis | Cluster

/** Whether Redis takes calls. Reported once when it stops to, and once when it does again. */
export interface Outage {
  /** Why Redis takes no calls now, or no writes. */
  readonly reason: QueueError | undefined
  /** Redis has refused a call for a reason that passes. */
  refused(error: Error): void
  /** A call was taken after one that was refused. */
  accepted(): void
  /** Waits before a refused call is sent again. Rejects at once when the store is closed. */
  pause(ms: number): Promise<void>
}

/** One Redis for every plugin that stores in it. */
export interface RedisPort {
  /** Commands of all plugins travel on it. Never block it, never subscribe on it. */
  readonly client: RedisClient
  readonly cluster: boolean
  /** What every key starts with. */
  readonly prefix: string
  /** Milliseconds after which a job whose worker gives no sign of life goes to another. */
  readonly lease: number
  /** How many slots the event streams are spread over. */
  readonly shards: number
  /** Milliseconds that `enqueue` waits for a store that is away. */
  readonly enqueueTimeout: number
  /** The number of the database, which channels need to carry: Redis does not keep them apart. */
  readonly database: number
  readonly outage: Outage
  /** Takes in what the clock of Redis said, and this machine's (`Date.now()`) before it was asked. */
  compareClock(storeNow: number, askedAt: number): void
  /** Rejects with `STORE_UNAVAILABLE` unless Redis takes a write now. */
  checkHealth(): Promise<void>
  /** A connection of one's own, for what must not share one: blocking commands and subscriptions. Close it. */
  connect(): RedisClient
  /** Calls back each time the command connection answers again after it was lost. */
  onReconnect(callback: () => void): Unsubscribe
}

declare module 'nuxt-queue/kernel' {
  interface Ports {
    /** The connection that the Redis adapters share. */
    redis: RedisPort
  }
}

type Argument = string | number
export type Script = (keys: readonly string[], args: readonly Argument[]) => Promise<unknown>

/**
 * What Redis says when it refuses a call before it has done anything, for a reason that passes: another script runs,
 * it loads its data, memory or disk is full, or it is no primary now. Such a call may be sent again.
 */
const REFUSALS = /^(?:BUSY|LOADING|OOM|MISCONF|READONLY|MASTERDOWN|NOREPLICAS|CLUSTERDOWN|TRYAGAIN)\b/
/** How long, in milliseconds, a refused call is sent again. One that a replica refused waits for a primary without a limit. */
const PATIENCE = 30_000
const FIRST_PAUSE = 50
const LONGEST_PAUSE = 1000

/** Whether Redis has refused a call for a reason that passes. Nothing of the call has taken effect. */
export function isRefusal(error: unknown): error is Error {
  return error instanceof Error && REFUSALS.test(error.message)
}

/** Whether Redis has refused a call for what is in it. Where several share a call, one of them may be at fault. */
export function isFault(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError' && !isRefusal(error)
}

/** @returns a `STORE_UNAVAILABLE` that says why Redis took no call */
export function unavailable(cause: unknown): QueueError {
  const why = cause instanceof Error ? cause.message : String(cause)
  const message = `Redis takes no calls now: ${why} Try again once it does.`
  return new QueueError('STORE_UNAVAILABLE', message, { cause })
}

/**
 * A Lua script that runs by its hash, and is sent along when the server does not know it (yet, or any more). A call
 * that Redis refuses for a reason that passes is sent again for a while.
 *
 * @throws QueueError `STORE_UNAVAILABLE` when Redis goes on refusing it
 */
export function defineScript({ client, outage }: Pick<RedisPort, 'client' | 'outage'>, lua: string): Script {
  const sha = createHash('sha1').update(lua).digest('hex')

  async function insist(error: unknown, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    const began = performance.now()
    let failure = error
    let refused = false
    for (let pause = FIRST_PAUSE; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
      const unknown = failure instanceof Error && failure.message.startsWith('NOSCRIPT')
      if (!unknown) {
        if (!isRefusal(failure)) throw failure
        refused = true
        outage.refused(failure)
        const waits = failure.message.startsWith('READONLY') || performance.now() - began < PATIENCE
        if (!waits) throw unavailable(failure)
        await outage.pause(pause)
      }
      try {
        const answer = await client.call('eval', [lua, keys.length, ...keys, ...args])
        if (refused) outage.accepted()
        return answer
      } catch (again) {
        failure = again
      }
    }
  }

  return async (keys, args) => {
    try {
      return await client.call('evalsha', [sha, keys.length, ...keys, ...args])
    } catch (error) {
      return insist(error, keys, args)
    }
  }
}

/**
 * The channel of a shard. Redis keeps the databases of one server apart for keys, not for channels: all but database 0
 * have their number in the name.
 */
export function wakeChannel(tag: string, database: number): string {
  return database === 0 ? `${tag}:wake` : `${tag}:wake:${database}`
}

/** How a key tells Redis Cluster its slot: all with one tag live together. */
export function hashTag(name: string): string {
  return `{${name}}`
}
