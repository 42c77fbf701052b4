import { setImmediate } from 'node:timers/promises'
import { isQueueError, type Kernel, type StoredEvent } from '../../../kernel/index.ts'
import type { Fail, Feed, OnMessage } from './feed.ts'
import { deliverToMember, type FeedMember } from './members.ts'

/** How many events a page of a replay has. */
const PAGE = 500
/** How often a failed read of a replay is retried, and the delay in milliseconds before each retry. */
const RETRIES = 60
const RETRY_DELAY = 500

interface RunMember extends FeedMember {
  /** `seq` of the last event that it received. */
  cursor: number
}

interface Page {
  events: StoredEvent[]
  /** The position of the feed before the page was read. The page contains all stored events up to this `seq`. */
  upTo: number
}

/** Feeds the events of one stream to all its followers in this process. */
export function createRunFeed(kernel: Kernel, stream: string, fail: Fail): Feed {
  const store = kernel.port('events')
  const members = new Set<RunMember>()
  /** `seq` of the last event that live members received. */
  let cursor = 0
  /** Running reads. Members at the same position share them. */
  const pages = new Map<number, Promise<Page>>()

  function receive(events: readonly StoredEvent[]): void {
    const first = events[0]!.seq
    cursor = events.at(-1)!.seq
    for (const member of members) if (member.live) advance(member, events, first)
  }

  function advance(member: RunMember, events: readonly StoredEvent[], first: number): void {
    const news = first > member.cursor ? events : events.filter(({ seq }) => seq > member.cursor)
    if (news.length === 0) return
    member.cursor = news.at(-1)!.seq
    void deliverToMember(kernel, member, news)
  }

  function page(after: number): Promise<Page> {
    const shared = pages.get(after)
    if (shared) return shared
    const reading = read(after).finally(() => pages.delete(after))
    pages.set(after, reading)
    return reading
  }

  async function read(after: number): Promise<Page> {
    // Yields between two pages, also if the store responds immediately.
    await setImmediate()
    const upTo = cursor
    return { events: await store.read(stream, { after, limit: PAGE }), upTo }
  }

  /**
   * Replays events until a member has caught up with the feed. The comparison of the cursors and the switch to live
   * events happen in one turn of the event loop, so no event is missed.
   */
  async function catchUp(member: RunMember): Promise<void> {
    let failures = 0
    while (!member.left) {
      if (member.cursor >= cursor) return void (member.live = true)
      try {
        const { events, upTo } = await page(member.cursor)
        failures = 0
        // The store no longer has events that the feed has seen, because their run was removed.
        member.cursor = events.at(-1)?.seq ?? Math.max(member.cursor, upTo)
        if (events.length > 0) await deliverToMember(kernel, member, events)
      } catch (error) {
        if (isQueueError(error) || ++failures > RETRIES) return fail(member, error)
        if (member.left) return
        await new Promise<void>((resolve) => kernel.clock.setTimeout(resolve, RETRY_DELAY))
      }
    }
  }

  return {
    members,
    async open(onMessage: OnMessage) {
      for (;;) {
        cursor = await store.head(stream)
        try {
          return await store.subscribe(stream, { after: cursor, onMessage }, receive)
        } catch (error) {
          // Events were trimmed in the meantime, so there is a newer head.
          if (!isQueueError(error, 'EVENTS_TRIMMED')) throw error
        }
      }
    },
    async add(follower, after) {
      const start = after === undefined ? await store.head(stream) : Number(after)
      const member: RunMember = { follower, cursor: start, live: false, left: false }
      members.add(member)
      void catchUp(member)
      return member
    },
  }
}
