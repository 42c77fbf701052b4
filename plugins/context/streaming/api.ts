import type { MaybePromise, StoredEvent, StreamMessage, Unsubscribe } from '../../../kernel/index.ts'

/** A follower of a stream. An error that it throws is reported and affects no other follower. */
export interface StreamFollower {
  /**
   * Receives events in order and without duplicates. All followers share the array and its events, so do not change
   * them. While stored events are replayed, the next page waits for a returned promise. Live events do not wait.
   *
   * @param cursor the position after these events, for `'*'` in stores that have a cursor over all streams
   */
  onEvents(events: readonly StoredEvent[], cursor?: string): MaybePromise<void>
  /**
   * Receives messages that are not stored: `progress` and `client`. Their order relative to events is not defined, and
   * they also arrive during a replay.
   */
  onMessage?(message: StreamMessage, stream: string): void
  /** Called once when following ends: the requested events were trimmed, the store is unavailable, or the kernel closes. */
  onError?(error: unknown): void
}

export interface FollowOptions {
  /** First replays the events stored after this `seq`, or after this cursor for `'*'`. Default: no replay. */
  after?: number | string
}

export interface Streams {
  /**
   * Replays the events stored after `after`, then follows the stream, without gaps or duplicates. This process fetches
   * the events of a stream once for all its followers. `'*'` follows every stream, except internal streams of plugins.
   * Returns a function that stops following.
   *
   * @throws QueueError `OPTION_INVALID` or `KERNEL_CLOSED`, or `OPTION_UNSUPPORTED` for `'*'` with `after` in a store
   *   without a cursor over all streams. Later errors are passed to `onError`
   * @example
   * const leave = await kernel.streams.follow(runId, { after: 0 }, { onEvents: (events) => console.log(events) })
   */
  follow(stream: string, options: FollowOptions, follower: StreamFollower): Promise<Unsubscribe>
  /**
   * Returns whether a client follows a run, in this process or in another process that shares the store. Followers of `'*'`
   * and subscribers of the event port do not count. Other processes are asked at most once per second and run. Only the first call waits
   * for their replies, so the result may be up to ten seconds old.
   */
  hasSubscribers(runId: string): Promise<boolean>
}
