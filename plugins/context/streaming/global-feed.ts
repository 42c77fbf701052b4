import type { Kernel, StoredEvent, Unsubscribe } from '../../../kernel/index.ts'
import type { Fail, Feed } from './feed.ts'
import { tell, type Member } from './members.ts'

interface GlobalMember extends Member {
  /** Where its own subscription stands; it has one until it has caught up. */
  cursor?: string
  stop?: Unsubscribe
}

/**
 * The events of all streams. A cursor over them is opaque, so who replays has a subscription of its own
 * until that one and the shared one stand at the same cursor.
 */
export function createGlobalFeed(kernel: Kernel, fail: Fail): Feed {
  const store = kernel.port('events')
  const members = new Set<GlobalMember>()
  let cursor: string | undefined

  function receive(events: readonly StoredEvent[], now?: string): void {
    cursor = now
    const shown = withoutInternal(events)
    for (const member of members) {
      if (member.live) void tell(kernel, member, shown, now)
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
    // A store may deliver all that is stored before it answers; the caller has to be able to leave before that.
    await Promise.race([subscribed, first.promise])
    subscribed.catch((error: unknown) => fail(member, error))
  }

  async function subscribe(member: GlobalMember, after: string, delivered: () => void): Promise<void> {
    const stop = await store.subscribe('*', { after }, (events, now) => {
      if (member.live || member.left) return
      delivered()
      member.cursor = now
      void tell(kernel, member, withoutInternal(events), now)
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

/** Streams of plugins that are no runs, such as those of events that nobody waits for. */
function withoutInternal(events: readonly StoredEvent[]): readonly StoredEvent[] {
  return events.some(({ runId }) => runId.startsWith('_'))
    ? events.filter(({ runId }) => !runId.startsWith('_'))
    : events
}
