import { createHash } from 'node:crypto'
import type { Cluster, Redis } from 'ioredis'
import type { Unsubscribe } from '../../kernel/index.ts'

export type RedisClient = Redis | Cluster

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

/** A Lua script that runs by its hash, and is sent along when the server does not know it (yet, or any more). */
export function defineScript(client: RedisClient, lua: string): Script {
  const sha = createHash('sha1').update(lua).digest('hex')
  return async (keys, args) => {
    try {
      return await client.evalsha(sha, keys.length, ...keys, ...args)
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error
      return client.eval(lua, keys.length, ...keys, ...args)
    }
  }
}

/** How a key tells Redis Cluster its slot: all with one tag live together. */
export function hashTag(name: string): string {
  return `{${name}}`
}
