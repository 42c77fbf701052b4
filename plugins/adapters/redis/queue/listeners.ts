import {
  callListener,
  type JobRecord,
  type QueueEvent,
  type QueueListener,
  type Reporter,
  type Unsubscribe,
} from '../../../../kernel/index.ts'

export interface Listeners {
  readonly some: boolean
  add(queue: string, event: QueueEvent | '*', listener: QueueListener): Unsubscribe
  emit(event: QueueEvent, queue: string, job?: Readonly<JobRecord>): void
  clear(): void
}

export function createListeners(reporter: Reporter): Listeners {
  const registrations = new Set<{ queue: string; event: QueueEvent | '*'; listener: QueueListener }>()
  return {
    get some() {
      return registrations.size > 0
    },
    add(queue, event, listener) {
      const registration = { queue, event, listener }
      registrations.add(registration)
      return () => void registrations.delete(registration)
    },
    emit(event, queue, job) {
      for (const registration of registrations) {
        if (
          (registration.queue !== '*' && registration.queue !== queue) ||
          (registration.event !== '*' && registration.event !== event)
        )
          continue
        callListener(reporter, `A listener of queue "${queue}" failed.`, () =>
          registration.listener(event, queue, job && { ...job }),
        )
      }
    },
    clear: () => registrations.clear(),
  }
}
