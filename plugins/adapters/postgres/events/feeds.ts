import {
  isQueueError,
  timerDelay,
  type StoredEvent,
  type StreamListener,
  type SubscribeOptions,
} from '../../../../kernel/index.ts'
import { seqAfter } from '../../lib/after.ts'
import type { PostgresPort } from '../lib/postgres.ts'
import { createSubscriber, guard, tell, type Subscriber } from './subscriber.ts'
import { markOf, unpackMarks } from './wake-ups.ts'

/** What a feed reads: a page of events after a position, and the position after it. */
interface Page {
  events: StoredEvent[]
  cursor?: string
}

export interface FeedSource {
  /** Events of a stream after a `seq`. @throws `EVENTS_TRIMMED` */
  read(stream: string, after: number): Promise<StoredEvent[]>
  heads(streams: readonly string[]): Promise<Map<string, number>>
  /** A page of all streams after a cursor, which is short when there is no more. */
  readAll(cursor: string): Promise<Required<Page>>
  /** The cursor as it is. @throws `OPTION_INVALID`, `EVENTS_TRIMMED` when it is of no use here */
  start(cursor: number | string): Promise<string>
  /** The cursor behind everything that is there. */
  end(): Promise<string>
}

interface Feed {
  stream: string
  mark: string
  subscribers: Set<Subscriber>
  /** Woken while it was reading. */
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
 * Follows streams. A notification only wakes: what is told is read from the cursor, so nothing is
 * missed when a notification is, and nothing is told twice. Subscribers of one stream share a read.
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
        // Who came during the read may be behind where it began, and has one of its own coming.
        for (const subscriber of feed.subscribers) if (subscriber.seq >= after) advance(subscriber, events)
      } catch (error) {
        if (closed) return
        if (skip(feed, error)) continue
        reporter.error(`Stream "${feed.stream}" could not be read for those who follow it.`, error)
      }
    } while (feed.again)
    feed.reading = false
  }

  /** Events that a subscriber has not been told of are gone: it goes on behind them. */
  function skip(feed: Feed, error: unknown): boolean {
    const trimmed = isQueueError(error, 'EVENTS_TRIMMED') ? error.details?.trimmed : undefined
    if (typeof trimmed !== 'number') return false
    for (const subscriber of feed.subscribers) subscriber.seq = Math.max(subscriber.seq, trimmed)
    reporter.warn(`Those who follow stream "${feed.stream}" miss events up to ${trimmed}, which were trimmed.`, error)
    feed.again = true
    return true
  }

  function advance(subscriber: Subscriber, events: readonly StoredEvent[]): void {
    const last = events.at(-1)
    if (!last || last.seq <= subscriber.seq) return
    const news = events[0]!.seq > subscriber.seq ? events : events.filter(({ seq }) => seq > subscriber.seq)
    subscriber.seq = last.seq
    tell(reporter, subscriber, news)
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
        tell(reporter, feed.subscriber, events, cursor)
      } catch (error) {
        if (closed) return
        reporter.error('All streams could not be read for those who follow them.', error)
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

  /** Looks for what no notification told of. */
  async function look(): Promise<void> {
    for (const feed of all) void catchUpAll(feed)
    try {
      const heads = await source.heads([...feeds.keys()])
      for (const [stream, head] of heads) {
        const feed = feeds.get(stream)
        if (feed && [...feed.subscribers].some(({ seq }) => seq < head)) void catchUp(feed)
      }
    } catch (error) {
      if (!closed) reporter.error('Streams could not be looked at for those who follow them.', error)
    }
    arm()
  }

  function arm(): void {
    if (!closed) poll = setTimeout(() => void look(), timerDelay(db.pollInterval))
  }

  function messages(stream: string, sent: readonly { type: string; data?: unknown }[]): void {
    const receivers = [...(feeds.get(stream)?.subscribers ?? []), ...[...all].map(({ subscriber }) => subscriber)]
    for (const subscriber of receivers) {
      for (const message of sent) {
        if (!subscriber.left) guard(reporter, () => subscriber.onMessage?.(message, stream))
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
      // Messages sent before now are not for this subscriber.
      await db.caughtUp()
      const from = start ?? (await source.heads([stream])).get(stream) ?? 0
      const replay = after === undefined ? [] : await source.read(stream, from)
      const subscriber = createSubscriber(listener, onMessage, from)
      const feed = feedOf(stream)
      feed.subscribers.add(subscriber)
      // Not before the caller has its answer.
      queueMicrotask(() => {
        advance(subscriber, replay)
        // Once more, for what came while nobody was registered.
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
