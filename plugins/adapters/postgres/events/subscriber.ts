import {
  callListener,
  type Reporter,
  type StoredEvent,
  type StreamListener,
  type SubscribeOptions,
} from '../../../../kernel/index.ts'

/** One subscription and its position. */
export interface Subscriber {
  listener: StreamListener
  onMessage: SubscribeOptions['onMessage']
  /** The `seq` of the last delivered event. */
  seq: number
  left: boolean
}

export function createSubscriber(
  listener: StreamListener,
  onMessage: SubscribeOptions['onMessage'],
  seq: number,
): Subscriber {
  return { listener, onMessage, seq, left: false }
}

/** Calls a listener and reports what it throws. */
export function callSafely(reporter: Reporter, call: () => unknown): void {
  callListener(reporter, 'A listener of an event stream failed.', call)
}

/** Delivers events to a subscriber, unless it has unsubscribed. */
export function deliverToSubscriber(
  reporter: Reporter,
  subscriber: Subscriber,
  events: readonly StoredEvent[],
  cursor?: string,
): void {
  if (subscriber.left || events.length === 0) return
  callSafely(reporter, () => subscriber.listener(events, cursor))
}
