import {
  callListener,
  type JobRecord,
  type QueueEvent,
  type QueueListener,
  type Reporter,
  type Unsubscribe,
} from '../../../kernel/index.ts'

interface Registration {
  queue: string
  event: QueueEvent | '*'
  listener: QueueListener
}

/** The listeners for job events of this process. */
export interface Listeners {
  /** Whether there are listeners. Without listeners, no record has to be read or copied. */
  readonly any: boolean
  /**
   * Calls the listeners of an event. If a listener throws, the error is reported and the other listeners are still called.
   *
   * @param job creates the record that a listener receives. It is called once for each listener, because a listener may change its record
   */
  emit(event: QueueEvent, queue: string, job?: () => JobRecord): void
  on(queue: string, event: QueueEvent | '*', listener: QueueListener): Unsubscribe
  clear(): void
}

export function createListeners(reporter: Reporter): Listeners {
  const registrations = new Set<Registration>()
  return {
    get any() {
      return registrations.size > 0
    },
    emit(event, queue, job) {
      if (registrations.size === 0) return
      for (const registration of registrations) {
        if (registration.queue !== '*' && registration.queue !== queue) continue
        if (registration.event !== '*' && registration.event !== event) continue
        callListener(reporter, `A listener of queue "${queue}" failed.`, () =>
          registration.listener(event, queue, job?.()),
        )
      }
    },
    on(queue, event, listener) {
      const registration = { queue, event, listener }
      registrations.add(registration)
      return () => void registrations.delete(registration)
    },
    clear: () => registrations.clear(),
  }
}
