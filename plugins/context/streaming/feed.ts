import type { StreamMessage, Unsubscribe } from '../../../kernel/index.ts'
import type { FollowOptions, StreamFollower } from './api.ts'
import type { Member } from './members.ts'

export type OnMessage = (message: StreamMessage, stream: string) => void

/** Ends a member for which nothing more can come. */
export type Fail = (member: Member, error: unknown) => void

/** What one upstream subscription feeds. */
export interface Feed {
  readonly members: Set<Member>
  open(onMessage: OnMessage): Promise<Unsubscribe>
  /** Takes a follower in among the members. */
  add(follower: StreamFollower, after: FollowOptions['after']): Promise<Member>
  /** Called for a member that leaves. */
  remove?(member: Member): void
}
