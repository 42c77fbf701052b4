import { callListener, type Kernel, type StoredEvent, type StreamMessage } from '../../../kernel/index.ts'
import type { StreamFollower } from './api.ts'

/** One follower of a feed. */
export interface Member {
  readonly follower: StreamFollower
  /** Receives what the feed receives; before that it is caught up on its own. */
  live: boolean
  left: boolean
}

type Host = Pick<Kernel, 'reporter'>

/** Calls a follower; what it throws, or rejects with, is reported. A promise only where it answers one: there may be many. */
export function tell(
  { reporter }: Host,
  { left, follower }: Member,
  events: readonly StoredEvent[],
  cursor?: string,
): void | Promise<void> {
  if (left) return undefined
  const failed = (error: unknown): void => reporter.error('A follower of a stream failed.', error)
  try {
    const taken = follower.onEvents(events, cursor)
    return taken instanceof Promise ? taken.catch(failed) : taken
  } catch (error) {
    return failed(error)
  }
}

export function pass({ reporter }: Host, { left, follower }: Member, message: StreamMessage, stream: string): void {
  if (!left) callListener(reporter, 'A follower of a stream failed.', () => follower.onMessage?.(message, stream))
}

/** Tells a follower that nothing more comes. */
export function end({ reporter }: Host, member: Member, reason: unknown): void {
  if (member.left) return
  member.left = true
  callListener(reporter, 'A follower of a stream failed.', () => member.follower.onError?.(reason))
}
