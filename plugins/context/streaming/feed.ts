import type { StreamMessage, Unsubscribe } from '../../../kernel/index.ts'
import type { FollowOptions, StreamFollower } from './api.ts'
import type { Member } from './members.ts'

export type OnMessage = (message: StreamMessage, stream: string) => void

/** Ends a member after an error. */
export type Fail = (member: Member, error: unknown) => void

/** The followers of a stream, which share one upstream subscription. */
export interface Feed {
  readonly members: Set<Member>
  open(onMessage: OnMessage): Promise<Unsubscribe>
  /** Adds a follower to the members. */
  add(follower: StreamFollower, after: FollowOptions['after']): Promise<Member>
  /** Called when a member leaves. */
  remove?(member: Member): void
}
