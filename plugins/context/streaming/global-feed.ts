import type { Kernel, StoredEvent, Unsubscribe } from '../../../kernel/index.ts'
import type { Fail, Feed } from './feed.ts'
import { deliverToMember, type FeedMember } from './members.ts'

interface GlobalMember extends FeedMember {
  /** The position of the member's own subscription, which it needs until it has caught up. */
  cursor?: string
  stop?: Unsubscribe
}

/**
 * Feeds the events of all streams. A cursor over all streams is opaque, so a member that replays has its own
 * subscription until it reaches the same cursor as the shared one.
 */
export function createGlobalFeed(kernel: Kernel, fail: Fail): Feed {
  const store = kernel.port('events')
  const members = new Set<GlobalMember>()
  let cursor: string | undefined

  function receive(events: readonly StoredEvent[], now?: string): void {
    cursor = now
    const shown = withoutInternal(events)
    for (const member of members) {
      if (member.live) void deliverToMember(kernel, member, shown, now)
    }
    for (const member of members) join(member)
  }

  function join(member: GlobalMember): void {
    if (member.live || member.left || cursor === undefined || member.cursor !== cursor) return
    member.live = true
    member.stop?.()
  }

  async function replay(member: GlobalMember, after: string): Promise<void> {
    const first = Promise.withResolvers<void>()
    const subscribed = subscribe(member, after, first.resolve)
    // A store may deliver all stored events before `subscribe` resolves. The caller must be able to leave earlier.
    await Promise.race([subscribed, first.promise])
    subscribed.catch((error: unknown) => fail(member, error))
  }

  async function subscribe(member: GlobalMember, after: string, delivered: () => void): Promise<void> {
    const stop = await store.subscribe('*', { after }, (events, now) => {
      if (member.live || member.left) return
      delivered()
      member.cursor = now
      void deliverToMember(kernel, member, withoutInternal(events), now)
      join(member)
    })
    if (member.live || member.left) stop()
    else member.stop = stop
  }

  return {
    members,
    open: async (onMessage) => store.subscribe('*', { onMessage }, receive),
    async add(follower, after) {
      const member: GlobalMember = { follower, live: after === undefined, left: false }
      members.add(member)
      if (after === undefined) return member
      try {
        await replay(member, String(after))
        return member
      } catch (error) {
        members.delete(member)
        throw error
      }
    },
    remove: (member: GlobalMember) => member.stop?.(),
  }
}

/** Removes events of internal streams of plugins, which are not runs. */
function withoutInternal(events: readonly StoredEvent[]): readonly StoredEvent[] {
  return events.some(({ runId }) => runId.startsWith('_'))
    ? events.filter(({ runId }) => !runId.startsWith('_'))
    : events
}
