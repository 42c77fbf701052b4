import {
  callListener,
  type Reporter,
  type StoredEvent,
  type StreamListener,
  type SubscribeOptions,
} from '../../../../kernel/index.ts'

/** One subscription, and how far it has been told. */
export interface Subscriber {
  listener: StreamListener
  onMessage: SubscribeOptions['onMessage']
  /** `seq` of the last event told. */
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

/** Calls a listener; what it throws is reported and harms nobody. */
export function guard(reporter: Reporter, call: () => unknown): void {
  callListener(reporter, 'A listener of an event stream failed.', call)
}

/** Tells a subscriber what it has not heard. */
export function tell(
  reporter: Reporter,
  subscriber: Subscriber,
  events: readonly StoredEvent[],
  cursor?: string,
): void {
  if (subscriber.left || events.length === 0) return
  guard(reporter, () => subscriber.listener(events, cursor))
}
