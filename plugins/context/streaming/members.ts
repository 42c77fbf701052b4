import { callListener, type Kernel, type StoredEvent, type StreamMessage } from '../../../kernel/index.ts'
import type { StreamFollower } from './api.ts'

/** A follower of a feed. */
export interface FeedMember {
  readonly follower: StreamFollower
  /** Whether it receives live events. Before that, it replays stored events separately. */
  live: boolean
  left: boolean
}

type Host = Pick<Kernel, 'reporter'>

/**
 * Delivers events to a follower, and reports its errors. Returns a promise only if the follower returns one, because
 * there may be many followers.
 */
export function deliverToMember(
  { reporter }: Host,
  { left, follower }: FeedMember,
  events: readonly StoredEvent[],
  cursor?: string,
): void | Promise<void> {
  if (left) return undefined
  const failed = (error: unknown): void => reporter.error('A follower of a stream failed.', error)
  try {
    const result = follower.onEvents(events, cursor)
    return result instanceof Promise ? result.catch(failed) : result
  } catch (error) {
    return failed(error)
  }
}

/** Delivers a message to a follower, and reports its errors. */
export function deliverMessage(
  { reporter }: Host,
  { left, follower }: FeedMember,
  message: StreamMessage,
  stream: string,
): void {
  if (!left) callListener(reporter, 'A follower of a stream failed.', () => follower.onMessage?.(message, stream))
}

/** Ends a follower, and passes it the reason. */
export function end({ reporter }: Host, member: FeedMember, reason: unknown): void {
  if (member.left) return
  member.left = true
  callListener(reporter, 'A follower of a stream failed.', () => member.follower.onError?.(reason))
}
