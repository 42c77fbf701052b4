import { QueueError, type Kernel, type StreamMessage, type Unsubscribe } from '../../../kernel/index.ts'
import type { FollowOptions, StreamFollower, Streams } from './api.ts'
import type { Feed } from './feed.ts'
import { createGlobalFeed } from './global-feed.ts'
import { deliverMessage, end, type FeedMember } from './members.ts'
import { createPresence, QUESTION } from './presence.ts'
import { createLatestProgress } from './latest-progress.ts'
import { createRunFeed } from './run-feed.ts'

interface Channel {
  feed: Feed
  opened: Promise<Unsubscribe>
  /** How many followers are joining. */
  joining: number
  progress: ReturnType<typeof createLatestProgress>
  stopLinger?: () => void
}

/** Distributes streams to any number of followers. Each stream has one subscription. */
export function createHub(kernel: Kernel, { linger }: { linger: number }) {
  const channels = new Map<string, Channel>()
  const presence = createPresence(kernel, (runId) => (channels.get(runId)?.feed.members.size ?? 0) > 0)
  let closed = false

  function channelOf(stream: string): Channel {
    const known = channels.get(stream)
    if (known) return known
    const fail = (member: FeedMember, error: unknown): void => {
      feed.members.delete(member)
      end(kernel, member, error)
      retire(stream, channel)
    }
    const feed: Feed = stream === '*' ? createGlobalFeed(kernel, fail) : createRunFeed(kernel, stream, fail)
    const progress = createLatestProgress()
    const opened = feed.open((message, from) => receive(channel, message, from))
    const channel: Channel = { feed, opened, joining: 0, progress }
    channels.set(stream, channel)
    return channel
  }

  function receive({ feed, progress }: Channel, message: StreamMessage, stream: string): void {
    if (message.type === QUESTION) return presence.reply(stream, message)
    // Messages between plugins are not delivered to followers.
    if (message.type.startsWith('_') || stream.startsWith('_')) return
    progress.record(message, stream)
    for (const member of feed.members) deliverMessage(kernel, member, message, stream)
  }

  async function follow(stream: string, { after }: FollowOptions, follower: StreamFollower): Promise<Unsubscribe> {
    checkAfter(kernel, stream, after)
    if (closed) throw closing()
    const channel = channelOf(stream)
    const { feed, progress } = channel
    channel.stopLinger?.()
    channel.joining++
    let member: FeedMember | undefined
    try {
      await channel.opened
      member = await feed.add(follower, after)
    } finally {
      channel.joining--
      if (!member) retire(stream, channel)
    }
    const joined = member
    const leave = (): void => {
      if (!feed.members.delete(joined)) return
      joined.left = true
      feed.remove?.(joined)
      retire(stream, channel)
    }
    if (closed) {
      leave()
      throw closing()
    }
    queueMicrotask(() => progress.each((message, from) => deliverMessage(kernel, joined, message, from)))
    return leave
  }

  /** Closes a channel without members, after `linger` milliseconds without a new follower. */
  function retire(stream: string, channel: Channel): void {
    const idle = (): boolean => channel.feed.members.size === 0 && channel.joining === 0
    const drop = (): void => {
      if (!idle() || channels.get(stream) !== channel) return
      channels.delete(stream)
      void stop(channel)
    }
    channel.stopLinger?.()
    if (!idle()) return
    if (linger > 0 && !closed) channel.stopLinger = kernel.clock.setTimeout(drop, linger)
    else drop()
    // A channel that failed to open is of no use.
    channel.opened.catch(drop)
  }

  async function stop({ opened }: Channel): Promise<void> {
    try {
      const unsubscribe = await opened
      unsubscribe()
    } catch {
      // The channel did not open, or its store closed first.
    }
  }

  const streams: Streams = { follow, hasSubscribers: presence.ask }
  return {
    streams,
    close(): void {
      closed = true
      presence.close()
      for (const channel of channels.values()) {
        channel.stopLinger?.()
        for (const member of channel.feed.members) {
          channel.feed.remove?.(member)
          end(kernel, member, closing())
        }
        channel.feed.members.clear()
        void stop(channel)
      }
      channels.clear()
    },
  }
}

function closing(): QueueError {
  return new QueueError('KERNEL_CLOSED', 'The kernel is closing, so its streams cannot be followed any more.')
}

/** @throws QueueError `OPTION_INVALID`, `OPTION_UNSUPPORTED` */
function checkAfter(kernel: Kernel, stream: string, after: FollowOptions['after']): void {
  if (after === undefined) return
  if (stream === '*') {
    if (!kernel.port('events').capabilities.globalCursor) {
      const message = 'This store has no cursor over all streams. Omit "after", or follow one run.'
      throw new QueueError('OPTION_UNSUPPORTED', message)
    }
    if (typeof after === 'string') return
    throw new QueueError('OPTION_INVALID', `"after" of "*" must be a cursor that a follower received; got ${after}.`)
  }
  if (after === '' || !Number.isInteger(Number(after)) || Number(after) < 0) {
    throw new QueueError(
      'OPTION_INVALID',
      `"after" must be the seq of an event, or 0 for the beginning; got "${after}".`,
    )
  }
}
