import type { Cluster, Redis } from 'ioredis'
import type { Reporter, StreamMessage } from '../../../../kernel/index.ts'
import { decodeJson } from '../../../lib/json.ts'
import { wakeChannel, type RedisClient, type RedisPort } from '../lib/redis.ts'
import type { Shards } from './shards.ts'

/** The poll interval on a Cluster, in milliseconds. The Cluster client resubscribes without an event. */
const CLUSTER_POLL = 1000

/** The minimum time between two reports of foreign messages on our channels, in milliseconds. */
const REPORT_EVERY = 60_000

export interface WakeUpHandlers {
  /** Called when a stream has events up to the `seq` `head`. */
  onEvents(shard: number, stream: string, head: number): void
  onMessages(stream: string, messages: readonly StreamMessage[]): void
  /** Called when wake-ups may have been missed. */
  onGap(): void
}

/**
 * Creates the connection that receives wake-ups for the shards with subscribers. A wake-up contains no events. Followers read them from
 * the store, so a lost connection loses nothing. The text of a message on a channel is one of:
 *
 *     e<JSON>   the heads of streams with new events: [seq, stream, seq, stream, …]
 *     m<JSON>   published messages of a stream
 */
export function createWakeUps(redis: RedisPort, { tags }: Shards, handlers: WakeUpHandlers, reporter: Reporter) {
  const channelOf = (shard: number): string => wakeChannel(tags[shard]!, redis.database)
  const shardOf = new Map(tags.map((_tag, shard) => [channelOf(shard), shard]))
  /** The channels with subscribers, and the promise of each SUBSCRIBE. */
  const wanted = new Map<string, Promise<void>>()
  let connection: RedisClient | undefined
  let opening: Promise<RedisClient> | undefined
  let polling: NodeJS.Timeout | undefined
  let reportAgain = 0

  /** Handles a message. Any client of the server may publish on a channel, so foreign messages are ignored. */
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
    const what = `A message on channel ${channel} was ignored, because it is not from nuxt-queue`
    const hint = 'Find out which client sends it. Further messages within a minute are not reported.'
    reporter.warn(`${what}: ${text.slice(0, 100)}. ${hint}`)
  }

  async function subscribe(on: RedisClient, channels: readonly string[]): Promise<void> {
    if (redis.cluster) await Promise.all(channels.map((channel) => (on as Cluster).ssubscribe(channel)))
    else if (channels.length > 0) await (on as Redis).subscribe(...channels)
  }

  async function open(): Promise<RedisClient> {
    const on = redis.connect()
    // This function resubscribes by itself, because followers may read only after the subscription is active.
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
          // A retry does not help if the user lacks the right. If the connection was lost, the next `ready` subscribes again.
          if (error instanceof Error && error.message.startsWith('NOPERM')) first.reject(error)
        },
      )
    })
    on.connect().catch(() => {})
    if (redis.cluster) polling = setInterval(handlers.onGap, CLUSTER_POLL)
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
    /** Resolves once the subscriptions to these shards are active. */
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
      clearInterval(polling)
      wanted.clear()
      connection?.disconnect()
    },
  }
}

function readMessages(text: string): { stream: string; messages: readonly StreamMessage[] } | undefined {
  try {
    const { stream, messages } = decodeJson(text) as { stream: string; messages: StreamMessage[] }
    const valid =
      typeof stream === 'string' && Array.isArray(messages) && messages.every((one) => typeof one?.type === 'string')
    return valid ? { stream, messages } : undefined
  } catch {
    return undefined
  }
}

/** Parses pairs of a `seq` and a stream. */
function readHeads(text: string): readonly (number | string)[] | undefined {
  try {
    const heads = JSON.parse(text) as unknown
    const valid =
      Array.isArray(heads) &&
      heads.length % 2 === 0 &&
      heads.every((one, index) => (index % 2 === 0 ? Number.isSafeInteger(one) : typeof one === 'string'))
    return valid ? (heads as (number | string)[]) : undefined
  } catch {
    return undefined
  }
}
