import type { StreamMessage, Unsubscribe } from '../../../kernel/index.ts'
import type { FollowOptions, StreamFollower } from './api.ts'
import type { FeedMember } from './members.ts'

export type OnMessage = (message: StreamMessage, stream: string) => void

/** Ends a member after an error. */
export type Fail = (member: FeedMember, error: unknown) => void

/** The followers of a stream, which share one upstream subscription. */
export interface Feed {
  readonly members: Set<FeedMember>
  open(onMessage: OnMessage): Promise<Unsubscribe>
  /** Adds a follower to the members. */
  add(follower: StreamFollower, after: FollowOptions['after']): Promise<FeedMember>
  /** Called when a member leaves. */
  remove?(member: FeedMember): void
}
