import { setImmediate } from 'node:timers/promises'
import { isQueueError, type Kernel, type StoredEvent } from '../../../kernel/index.ts'
import type { Fail, Feed, OnMessage } from './feed.ts'
import { tell, type Member } from './members.ts'

/** How many events one step of a replay reads. */
const PAGE = 500
/** How often, and after how many milliseconds, a replay is tried again that the store did not answer. */
const RETRIES = 60
const RETRY_DELAY = 500

interface RunMember extends Member {
  /** `seq` of the last event it was given. */
  cursor: number
}

interface Page {
  events: StoredEvent[]
  /** Where the feed stood before the page was read: up to here it holds all that is left. */
  upTo: number
}

/** The events of one stream for all who follow it in this process. */
export function createRunFeed(kernel: Kernel, stream: string, fail: Fail): Feed {
  const store = kernel.port('events')
  const members = new Set<RunMember>()
  /** `seq` of the last event that live members were given. */
  let cursor = 0
  /** Reads under way: who stands at the same place shares them. */
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
    void tell(kernel, member, news)
  }

  function page(after: number): Promise<Page> {
    const there = pages.get(after)
    if (there) return there
    const reading = read(after).finally(() => pages.delete(after))
    pages.set(after, reading)
    return reading
  }

  async function read(after: number): Promise<Page> {
    // Others have their turn between two pages, also where the store answers at once.
    await setImmediate()
    const upTo = cursor
    return { events: await store.read(stream, { after, limit: PAGE }), upTo }
  }

  /** Brings a member to where the feed is. Both looks and the switch are made in one turn, so that nothing gets in between. */
  async function catchUp(member: RunMember): Promise<void> {
    let failures = 0
    while (!member.left) {
      if (member.cursor >= cursor) return void (member.live = true)
      try {
        const { events, upTo } = await page(member.cursor)
        failures = 0
        // What the feed has seen and the store has no more is gone with its run.
        member.cursor = events.at(-1)?.seq ?? Math.max(member.cursor, upTo)
        if (events.length > 0) await tell(kernel, member, events)
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
          // Trimmed meanwhile, so there is a newer head.
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
