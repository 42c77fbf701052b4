import {
  callListener,
  QueueError,
  type Reporter,
  type StoredEvent,
  type StreamListener,
  type StreamMessage,
  type SubscribeOptions,
  type Unsubscribe,
} from '../../../../kernel/index.ts'
import { seqAfter } from '../../lib/after.ts'
import { encodeJson } from '../../../lib/json.ts'
import { wakeChannel, type RedisPort } from '../lib/redis.ts'
import { createFollower, type Follower, type Reads } from './follower.ts'
import { createGlobalFollower, type GlobalFollower } from './global-follower.ts'
import type { Shards } from './shards.ts'
import { createWakeUps } from './wake-ups.ts'

/** Creates the registry of subscribers of this process. All subscriptions share one connection. */
export function createSubscribers(redis: RedisPort, shards: Shards, reads: Reads, reporter: Reporter) {
  const followers = new Map<string, Follower>()
  const globals = new Set<GlobalFollower>()
  const receivers = new Map<string, Set<NonNullable<SubscribeOptions['onMessage']>>>()
  /** The number of subscriptions per shard. */
  const interest = new Map<number, number>()
  const allShards = shards.tags.map((_tag, shard) => shard)

  const callSafely = (call: () => unknown): void =>
    callListener(reporter, 'A listener of an event stream failed.', call)

  const wakeUps = createWakeUps(
    redis,
    shards,
    {
      onEvents(shard, stream, head) {
        followers.get(stream)?.wake(head)
        for (const one of globals) one.wake(shard)
      },
      onMessages(stream, messages) {
        for (const name of [stream, '*']) {
          for (const receive of receivers.get(name) ?? []) {
            for (const message of messages) callSafely(() => receive(message, stream))
          }
        }
      },
      onGap() {
        for (const one of followers.values()) one.wake(Infinity)
        for (const one of globals) for (const shard of allShards) one.wake(shard)
      },
    },
    reporter,
  )

  async function join(joined: readonly number[]): Promise<void> {
    for (const shard of joined) interest.set(shard, (interest.get(shard) ?? 0) + 1)
    await wakeUps.follow(joined)
  }

  function leave(left: readonly number[]): void {
    for (const shard of left) {
      const others = interest.get(shard)! - 1
      interest.set(shard, others)
      if (others === 0) wakeUps.unfollow(shard)
    }
  }

  function listen(stream: string, onMessage: SubscribeOptions['onMessage']): () => void {
    if (!onMessage) return () => {}
    // Wrapped, because the same function may be registered twice.
    const receive: typeof onMessage = (message, from) => onMessage(message, from)
    const registered = receivers.get(stream) ?? new Set()
    receivers.set(stream, registered.add(receive))
    return () => {
      registered.delete(receive)
      if (registered.size === 0 && receivers.get(stream) === registered) receivers.delete(stream)
    }
  }

  async function followAll(after: string | undefined, listener: StreamListener): Promise<() => void> {
    const follower = await createGlobalFollower(redis, shards, after, (events, cursor) =>
      callSafely(() => listener(events, cursor)),
    )
    globals.add(follower)
    // Stored events are delivered before new ones, even across shards.
    await follower.replay()
    return () => {
      globals.delete(follower)
      follower.stop()
    }
  }

  async function followOne(stream: string, after: number | undefined, listener: StreamListener): Promise<() => void> {
    let follower = followers.get(stream)
    if (!follower) followers.set(stream, (follower = createFollower(stream, reads, reporter)))
    const deliver = (events: readonly StoredEvent[]): void => callSafely(() => listener(events))
    const opened = follower
    const stop = await opened.add(after, deliver).catch((error: unknown) => {
      forget()
      throw error
    })
    function forget(): void {
      if (opened.idle && followers.get(stream) === opened) followers.delete(stream)
    }
    return () => {
      stop()
      forget()
    }
  }

  return {
    async subscribe(
      stream: string,
      { after, onMessage }: SubscribeOptions,
      listener: StreamListener,
    ): Promise<Unsubscribe> {
      const followsAll = stream === '*'
      if (followsAll && typeof after === 'number') {
        throw new QueueError(
          'OPTION_INVALID',
          `"after" of "*" must be a cursor that a listener received; got ${after}.`,
        )
      }
      const from = followsAll || after === undefined ? undefined : seqAfter(after)
      const joined = followsAll ? allShards : [shards.indexOf(stream)]
      await join(joined)
      const mute = listen(stream, onMessage)
      try {
        const stop = followsAll
          ? await followAll(after as string | undefined, listener)
          : await followOne(stream, from, listener)
        let left = false
        return () => {
          if (left) return
          left = true
          mute()
          stop()
          leave(joined)
        }
      } catch (error) {
        mute()
        leave(joined)
        throw error
      }
    },
    async publish(stream: string, messages: readonly StreamMessage[]): Promise<void> {
      const channel = wakeChannel(shards.tagOf(stream), redis.database)
      const text = `m${encodeJson({ stream, messages })}`
      await (redis.cluster ? redis.client.spublish(channel, text) : redis.client.publish(channel, text))
    },
    close(): void {
      for (const one of globals) one.stop()
      for (const one of followers.values()) one.stop()
      followers.clear()
      globals.clear()
      receivers.clear()
      wakeUps.close()
    },
  }
}
