import {
  isQueueError,
  timerDelay,
  type StoredEvent,
  type StreamListener,
  type SubscribeOptions,
} from '../../../../kernel/index.ts'
import { seqAfter } from '../../lib/after.ts'
import type { PostgresPort } from '../lib/postgres.ts'
import { callSafely, createSubscriber, deliverToSubscriber, type Subscriber } from './subscriber.ts'
import { markOf, unpackMarks } from './wake-ups.ts'

/** A page of events after a position, and the position of its end. */
interface Page {
  events: StoredEvent[]
  cursor?: string
}

export interface FeedSource {
  /** Returns the events of a stream after a `seq`. @throws QueueError `EVENTS_TRIMMED` */
  read(stream: string, after: number): Promise<StoredEvent[]>
  heads(streams: readonly string[]): Promise<Map<string, number>>
  /** Returns a page of the events of all streams after a cursor. The cursor stays the same at the end. */
  readAll(cursor: string): Promise<Required<Page>>
  /** Checks and returns a cursor. @throws QueueError `OPTION_INVALID`, or `EVENTS_TRIMMED` if it is of another database */
  start(cursor: number | string): Promise<string>
  /** Returns the cursor after all stored events. */
  end(): Promise<string>
}

interface Feed {
  stream: string
  mark: string
  subscribers: Set<Subscriber>
  /** True if the feed was woken while it was reading. It then reads again. */
  again: boolean
  reading: boolean
}

interface AllFeed {
  subscriber: Subscriber
  cursor: string
  again: boolean
  reading: boolean
}

/**
 * Delivers events to subscribers. A notification only wakes a feed, which then reads the events after its cursor. A lost
 * notification therefore loses no event, and no event is delivered twice. All subscribers of a stream share one feed and
 * its reads.
 *
 *     idle ── notification, poll, reconnect ──> reading ── page delivered ──> idle
 *                                                 │  ^
 *                                                 └──┘ woken while reading (`again`)
 */
export function createFeeds(db: PostgresPort, source: FeedSource) {
  const { reporter } = db
  const feeds = new Map<string, Feed>()
  const marks = new Map<string, Set<Feed>>()
  const all = new Set<AllFeed>()
  let closed = false
  let poll: NodeJS.Timeout | undefined

  function feedOf(stream: string): Feed {
    let feed = feeds.get(stream)
    if (feed) return feed
    feed = { stream, mark: markOf(stream), subscribers: new Set(), again: false, reading: false }
    feeds.set(stream, feed)
    marks.set(feed.mark, (marks.get(feed.mark) ?? new Set()).add(feed))
    return feed
  }

  function dropFeed(feed: Feed): void {
    if (feed.subscribers.size > 0 || feeds.get(feed.stream) !== feed) return
    feeds.delete(feed.stream)
    const sharing = marks.get(feed.mark)
    sharing?.delete(feed)
    if (sharing?.size === 0) marks.delete(feed.mark)
  }

  async function catchUp(feed: Feed): Promise<void> {
    if (feed.reading) return void (feed.again = true)
    feed.reading = true
    do {
      feed.again = false
      if (feed.subscribers.size === 0) break
      const after = Math.min(...[...feed.subscribers].map(({ seq }) => seq))
      try {
        const events = await source.read(feed.stream, after)
        // A subscriber that was added during the read may be behind `after`. It started another read.
        for (const subscriber of feed.subscribers) if (subscriber.seq >= after) advance(subscriber, events)
      } catch (error) {
        if (closed) return
        if (skip(feed, error)) continue
        reporter.error(`Stream "${feed.stream}" could not be read for its subscribers.`, error)
      }
    } while (feed.again)
    feed.reading = false
  }

  /** Moves subscribers past events that were trimmed before they were delivered. Returns false for other errors. */
  function skip(feed: Feed, error: unknown): boolean {
    const trimmed = isQueueError(error, 'EVENTS_TRIMMED') ? error.details?.trimmed : undefined
    if (typeof trimmed !== 'number') return false
    for (const subscriber of feed.subscribers) subscriber.seq = Math.max(subscriber.seq, trimmed)
    const message = `Subscribers of stream "${feed.stream}" miss the events up to ${trimmed}, because they were trimmed.`
    reporter.warn(message, error)
    feed.again = true
    return true
  }

  function advance(subscriber: Subscriber, events: readonly StoredEvent[]): void {
    const last = events.at(-1)
    if (!last || last.seq <= subscriber.seq) return
    const newer = events[0]!.seq > subscriber.seq ? events : events.filter(({ seq }) => seq > subscriber.seq)
    subscriber.seq = last.seq
    deliverToSubscriber(reporter, subscriber, newer)
  }

  async function catchUpAll(feed: AllFeed): Promise<void> {
    if (feed.reading) return void (feed.again = true)
    feed.reading = true
    do {
      feed.again = false
      try {
        const { events, cursor } = await source.readAll(feed.cursor)
        if (cursor !== feed.cursor) feed.again = true
        feed.cursor = cursor
        deliverToSubscriber(reporter, feed.subscriber, events, cursor)
      } catch (error) {
        if (closed) return
        reporter.error('The events of all streams could not be read for the subscribers of "*".', error)
      }
    } while (feed.again && !feed.subscriber.left)
    feed.reading = false
  }

  function wake(payload: string): void {
    for (const feed of all) void catchUpAll(feed)
    const wanted = unpackMarks(payload)
    if (!wanted) return wakeFeeds(feeds.values())
    if (wanted.size < marks.size) {
      for (const mark of wanted) wakeFeeds(marks.get(mark) ?? [])
    } else {
      for (const [mark, sharing] of marks) if (wanted.has(mark)) wakeFeeds(sharing)
    }
  }

  function wakeFeeds(some: Iterable<Feed>): void {
    for (const feed of some) void catchUp(feed)
  }

  function wakeAll(): void {
    wake('*')
  }

  /** Reads streams that have new events, in case a notification was lost. */
  async function pollStreams(): Promise<void> {
    for (const feed of all) void catchUpAll(feed)
    try {
      const heads = await source.heads([...feeds.keys()])
      for (const [stream, head] of heads) {
        const feed = feeds.get(stream)
        if (feed && [...feed.subscribers].some(({ seq }) => seq < head)) void catchUp(feed)
      }
    } catch (error) {
      if (!closed) reporter.error('Streams could not be polled for their subscribers.', error)
    }
    arm()
  }

  function arm(): void {
    if (!closed) poll = setTimeout(() => void pollStreams(), timerDelay(db.pollInterval))
  }

  function messages(stream: string, sent: readonly { type: string; data?: unknown }[]): void {
    const receivers = [...(feeds.get(stream)?.subscribers ?? []), ...[...all].map(({ subscriber }) => subscriber)]
    for (const subscriber of receivers) {
      for (const message of sent) {
        if (!subscriber.left) callSafely(reporter, () => subscriber.onMessage?.(message, stream))
      }
    }
  }

  return {
    wake,
    wakeAll,
    messages,
    start: arm,
    async follow(stream: string, { after, onMessage }: SubscribeOptions, listener: StreamListener) {
      const start = after === undefined ? undefined : seqAfter(after)
      // The subscriber must not receive messages that were sent earlier.
      await db.caughtUp()
      const from = start ?? (await source.heads([stream])).get(stream) ?? 0
      const replay = after === undefined ? [] : await source.read(stream, from)
      const subscriber = createSubscriber(listener, onMessage, from)
      const feed = feedOf(stream)
      feed.subscribers.add(subscriber)
      // Deliver only after the caller has received the unsubscribe function.
      queueMicrotask(() => {
        advance(subscriber, replay)
        // Read again, because events may have been stored between the read and the registration.
        void catchUp(feed)
      })
      return () => {
        subscriber.left = true
        feed.subscribers.delete(subscriber)
        dropFeed(feed)
      }
    },
    async followAll({ after, onMessage }: SubscribeOptions, listener: StreamListener) {
      const start = after === undefined ? undefined : await source.start(after)
      await db.caughtUp()
      const cursor = start ?? (await source.end())
      const feed: AllFeed = {
        subscriber: createSubscriber(listener, onMessage, 0),
        cursor,
        again: false,
        reading: false,
      }
      all.add(feed)
      queueMicrotask(() => void catchUpAll(feed))
      return () => {
        feed.subscriber.left = true
        all.delete(feed)
      }
    },
    close(): void {
      closed = true
      clearTimeout(poll)
      feeds.clear()
      marks.clear()
      all.clear()
    },
  }
}
