import {
  callListener,
  type Reporter,
  type StoredEvent,
  type StreamListener,
  type StreamMessage,
  type Unsubscribe,
} from '../../../../kernel/index.ts'

interface Subscriber {
  /** Only events with a larger `seq` are delivered. It may be larger than that of the newest event. */
  after: number
  listener: StreamListener
  onMessage: ((message: StreamMessage, stream: string) => void) | undefined
  pending: StoredEvent[]
  scheduled: boolean
}

/**
 * Delivers events to listeners in order and in batches. Delivery happens after the append has returned, so that a
 * listener cannot disturb the append. Errors that a listener throws are reported.
 */
export function createSubscribers(reporter: Reporter) {
  const byStream = new Map<string, Set<Subscriber>>()

  const callSafely = (call: () => unknown): void =>
    callListener(reporter, 'A listener of an event stream failed.', call)

  function push(subscriber: Subscriber, events: readonly StoredEvent[]): void {
    subscriber.pending.push(...events)
    if (subscriber.scheduled || subscriber.pending.length === 0) return
    subscriber.scheduled = true
    queueMicrotask(() => {
      subscriber.scheduled = false
      const batch = subscriber.pending.splice(0)
      if (batch.length > 0) callSafely(() => subscriber.listener(batch))
    })
  }

  return {
    add(
      stream: string,
      listener: StreamListener,
      onMessage: Subscriber['onMessage'],
      replay: readonly StoredEvent[],
      after = 0,
    ): Unsubscribe {
      const subscriber: Subscriber = { after, listener, onMessage, pending: [], scheduled: false }
      const subscribers = byStream.get(stream) ?? new Set()
      byStream.set(stream, subscribers.add(subscriber))
      push(subscriber, replay)
      return () => {
        subscriber.pending.length = 0
        subscribers.delete(subscriber)
        if (subscribers.size === 0 && byStream.get(stream) === subscribers) byStream.delete(stream)
      }
    },
    events(stream: string, events: readonly StoredEvent[]): void {
      if (byStream.size === 0 || events.length === 0) return
      for (const subscriber of byStream.get(stream) ?? []) {
        push(
          subscriber,
          events[0]!.seq > subscriber.after ? events : events.filter(({ seq }) => seq > subscriber.after),
        )
      }
      for (const subscriber of byStream.get('*') ?? []) push(subscriber, events)
    },
    messages(stream: string, messages: readonly StreamMessage[]): void {
      for (const name of [stream, '*']) {
        for (const { onMessage } of byStream.get(name) ?? []) {
          for (const message of messages) callSafely(() => onMessage?.(message, stream))
        }
      }
    },
    clear: () => byStream.clear(),
  }
}
