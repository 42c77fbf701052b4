import { QueueError, type Kernel, type StreamMessage, type Unsubscribe } from '../../../kernel/index.ts'
import type { FollowOptions, StreamFollower, Streams } from './api.ts'
import type { Feed } from './feed.ts'
import { createGlobalFeed } from './global-feed.ts'
import { end, pass, type Member } from './members.ts'
import { createPresence, QUESTION } from './presence.ts'
import { createLatestProgress } from './latest-progress.ts'
import { createRunFeed } from './run-feed.ts'

interface Channel {
  feed: Feed
  opened: Promise<Unsubscribe>
  /** How many are about to become members. */
  coming: number
  progress: ReturnType<typeof createLatestProgress>
  stopLinger?: () => void
}

/** Fans streams out to any number of followers, each stream over one subscription. */
export function createHub(kernel: Kernel, { linger }: { linger: number }) {
  const channels = new Map<string, Channel>()
  const presence = createPresence(kernel, (runId) => (channels.get(runId)?.feed.members.size ?? 0) > 0)
  let closed = false

  function channelOf(stream: string): Channel {
    const there = channels.get(stream)
    if (there) return there
    const fail = (member: Member, error: unknown): void => {
      feed.members.delete(member)
      end(kernel, member, error)
      retire(stream, channel)
    }
    const feed: Feed = stream === '*' ? createGlobalFeed(kernel, fail) : createRunFeed(kernel, stream, fail)
    const progress = createLatestProgress()
    const opened = feed.open((message, from) => receive(channel, message, from))
    const channel: Channel = { feed, opened, coming: 0, progress }
    channels.set(stream, channel)
    return channel
  }

  function receive({ feed, progress }: Channel, message: StreamMessage, stream: string): void {
    if (message.type === QUESTION) return presence.answer(stream, message)
    // What plugins tell each other is not for those who watch.
    if (message.type.startsWith('_') || stream.startsWith('_')) return
    progress.note(message, stream)
    for (const member of feed.members) pass(kernel, member, message, stream)
  }

  async function follow(stream: string, { after }: FollowOptions, follower: StreamFollower): Promise<Unsubscribe> {
    checkAfter(kernel, stream, after)
    if (closed) throw closing()
    const channel = channelOf(stream)
    const { feed, progress } = channel
    channel.stopLinger?.()
    channel.coming++
    let member: Member | undefined
    try {
      await channel.opened
      member = await feed.add(follower, after)
    } finally {
      channel.coming--
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
    queueMicrotask(() => progress.each((message, from) => pass(kernel, joined, message, from)))
    return leave
  }

  /** Gives an upstream up that nobody needs, once nobody has come back for a while. */
  function retire(stream: string, channel: Channel): void {
    const idle = (): boolean => channel.feed.members.size === 0 && channel.coming === 0
    const drop = (): void => {
      if (!idle() || channels.get(stream) !== channel) return
      channels.delete(stream)
      void stop(channel)
    }
    channel.stopLinger?.()
    if (!idle()) return
    if (linger > 0 && !closed) channel.stopLinger = kernel.clock.setTimeout(drop, linger)
    else drop()
    // One that did not open serves nobody.
    channel.opened.catch(drop)
  }

  async function stop({ opened }: Channel): Promise<void> {
    try {
      const unsubscribe = await opened
      unsubscribe()
    } catch {
      // It did not open, or its store has gone before it.
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
  return new QueueError('KERNEL_CLOSED', 'The kernel is closing, so its streams can no longer be followed here.')
}

/** @throws QueueError `OPTION_INVALID`, `OPTION_UNSUPPORTED` */
function checkAfter(kernel: Kernel, stream: string, after: FollowOptions['after']): void {
  if (after === undefined) return
  if (stream === '*') {
    if (!kernel.port('events').capabilities.globalCursor) {
      const message = 'This store has no cursor over all streams. Leave "after" out, or follow one run.'
      throw new QueueError('OPTION_UNSUPPORTED', message)
    }
    if (typeof after === 'string') return
    throw new QueueError('OPTION_INVALID', `"after" of "*" is a cursor that a follower was given; got ${after}.`)
  }
  if (after === '' || !Number.isInteger(Number(after)) || Number(after) < 0) {
    throw new QueueError('OPTION_INVALID', `"after" is the seq of an event, or 0 for the beginning; got "${after}".`)
  }
}
