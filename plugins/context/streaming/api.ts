import type { MaybePromise, StoredEvent, StreamMessage, Unsubscribe } from '../../../kernel/index.ts'

/** Who follows a stream. What it throws is reported and harms nobody. */
export interface StreamFollower {
  /**
   * Events in order, none twice. The array and what is in it are shared by all who follow: do not change
   * them. While stored events are replayed, a promise holds the next page back until it is settled; live
   * events wait for nobody.
   *
   * @param cursor where `'*'` stands now, in stores that have a cursor over all streams
   */
  onEvents(events: readonly StoredEvent[], cursor?: string): MaybePromise<void>
  /** What is stored nowhere: `progress`, `client`. It is not in order with the events, and comes during a replay too. */
  onMessage?(message: StreamMessage, stream: string): void
  /** Nothing more comes: the events asked for were trimmed, the store does not answer, the kernel closes. */
  onError?(error: unknown): void
}

export interface FollowOptions {
  /** Replay what is stored after this `seq` (for `'*'`: this cursor) first. Default: follow only. */
  after?: number | string
}

export interface Streams {
  /**
   * Replays stored events after `after`, then follows: no gap, no duplicate. However many follow a stream,
   * its events are fetched once in this process. `'*'` follows every stream, but for those of plugins that are no runs.
   *
   * @throws QueueError `OPTION_INVALID`, `KERNEL_CLOSED`; `OPTION_UNSUPPORTED` for `'*'` with `after` in a store
   * that has no cursor over all streams. What goes wrong later comes to `onError`.
   * @example
   * const leave = await kernel.streams.follow(runId, { after: 0 }, { onEvents: (events) => console.log(events) })
   */
  follow(stream: string, options: FollowOptions, follower: StreamFollower): Promise<Unsubscribe>
  /**
   * Whether anybody follows that very run, in this process or in another one that shares the store; those of
   * `'*'`, and subscribers of the event port, do not count. Other processes are asked at most once a second
   * for a run, and only the first question waits for them: an answer may be a few seconds old.
   */
  hasSubscribers(runId: string): Promise<boolean>
}
