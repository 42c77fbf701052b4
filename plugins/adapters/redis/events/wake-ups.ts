import type { Cluster, Redis } from 'ioredis'
import type { Reporter, StreamMessage } from '../../../../kernel/index.ts'
import { decodeJson } from '../../../lib/json.ts'
import { wakeChannel, type RedisClient, type RedisPort } from '../lib/redis.ts'
import type { Shards } from './shards.ts'

/** How often followers look for themselves on a Cluster, whose client resubscribes without telling. */
const CLUSTER_LOOK = 1000

/** How often, in milliseconds, it is reported that others send to our channels. */
const REPORT_EVERY = 60_000

export interface WakeUpHandlers {
  /** A stream has events up to a seq. */
  onEvents(shard: number, stream: string, head: number): void
  onMessages(stream: string, messages: readonly StreamMessage[]): void
  /** Wake-ups may have been missed. */
  onGap(): void
}

/**
 * One connection that is told when something happens in the shards that somebody follows. It only
 * wakes; what happened is read from the store, so that a lost connection loses nothing.
 */
export function createWakeUps(redis: RedisPort, { tags }: Shards, handlers: WakeUpHandlers, reporter: Reporter) {
  const channelOf = (shard: number): string => wakeChannel(tags[shard]!, redis.database)
  const shardOf = new Map(tags.map((_tag, shard) => [channelOf(shard), shard]))
  /** Channels, and when what happens there wakes. */
  const wanted = new Map<string, Promise<void>>()
  let connection: RedisClient | undefined
  let opening: Promise<RedisClient> | undefined
  let looking: NodeJS.Timeout | undefined
  let reportAgain = 0

  /** Any client of the server may send to a channel: what is no message of ours is passed over. */
  function receive(channel: string, text: string): void {
    const shard = shardOf.get(channel)
    if (shard === undefined) return
    const messages = text.startsWith('m') ? readMessages(text.slice(1)) : undefined
    const heads = text.startsWith('e') ? readHeads(text.slice(1)) : undefined
    if (messages) handlers.onMessages(messages.stream, messages.messages)
    else if (heads) {
      for (let index = 0; index < heads.length; index += 2) {
        handlers.onEvents(shard, heads[index + 1] as string, heads[index] as number)
      }
    } else reportMalformed(channel, text)
  }

  function reportMalformed(channel: string, text: string): void {
    const now = performance.now()
    if (now < reportAgain) return
    reportAgain = now + REPORT_EVERY
    const what = `A message on channel ${channel} is none of ours and was passed over`
    reporter.warn(`${what}: ${text.slice(0, 100)}. Find out who sends it. Others within a minute are not reported.`)
  }

  async function subscribe(on: RedisClient, channels: readonly string[]): Promise<void> {
    if (redis.cluster) await Promise.all(channels.map((channel) => (on as Cluster).ssubscribe(channel)))
    else if (channels.length > 0) await (on as Redis).subscribe(...channels)
  }

  async function open(): Promise<RedisClient> {
    const on = redis.connect()
    // Resubscribing is done here, because followers may look only once it is.
    if (!on.isCluster) (on as Redis).options.autoResubscribe = false
    connection = on
    on.on(redis.cluster ? 'smessage' : 'message', receive)
    const first = Promise.withResolvers<void>()
    on.on('ready', () => {
      subscribe(on, [...wanted.keys()]).then(
        () => {
          first.resolve()
          handlers.onGap()
        },
        (error: unknown) => {
          // Without the right to it there is no use in trying; where the connection went, the next one does it anew.
          if (error instanceof Error && error.message.startsWith('NOPERM')) first.reject(error)
        },
      )
    })
    on.connect().catch(() => {})
    if (redis.cluster) looking = setInterval(handlers.onGap, CLUSTER_LOOK)
    await first.promise
    return on
  }

  async function join(channels: readonly string[]): Promise<void> {
    try {
      const on = await (opening ??= open())
      await subscribe(on, channels)
    } catch (error) {
      for (const channel of channels) wanted.delete(channel)
      throw error
    }
  }

  return {
    /** Resolves once whatever happens in these shards from now on wakes. */
    async follow(followed: readonly number[]): Promise<void> {
      const channels = followed.map(channelOf)
      const fresh = channels.filter((channel) => !wanted.has(channel))
      if (fresh.length > 0) {
        const subscribed = join(fresh)
        for (const channel of fresh) wanted.set(channel, subscribed)
      }
      await Promise.all(channels.map((channel) => wanted.get(channel)))
    },
    unfollow(shard: number): void {
      const channel = channelOf(shard)
      if (!wanted.delete(channel) || !connection) return
      const left = redis.cluster
        ? (connection as Cluster).sunsubscribe(channel)
        : (connection as Redis).unsubscribe(channel)
      left.catch(() => {})
    },
    close(): void {
      clearInterval(looking)
      wanted.clear()
      connection?.disconnect()
    },
  }
}

function readMessages(text: string): { stream: string; messages: readonly StreamMessage[] } | undefined {
  try {
    const { stream, messages } = decodeJson(text) as { stream: string; messages: StreamMessage[] }
    const ours =
      typeof stream === 'string' && Array.isArray(messages) && messages.every((one) => typeof one?.type === 'string')
    return ours ? { stream, messages } : undefined
  } catch {
    return undefined
  }
}

/** Pairs of a seq and a stream. */
function readHeads(text: string): readonly (number | string)[] | undefined {
  try {
    const heads = JSON.parse(text) as unknown
    const ours =
      Array.isArray(heads) &&
      heads.length % 2 === 0 &&
      heads.every((one, index) => (index % 2 === 0 ? Number.isSafeInteger(one) : typeof one === 'string'))
    return ours ? (heads as (number | string)[]) : undefined
  } catch {
    return undefined
  }
}
