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
  const wanted = new Set<{ queue: string; event: QueueEvent | '*'; listener: QueueListener }>()
  return {
    get some() {
      return wanted.size > 0
    },
    add(queue, event, listener) {
      const one = { queue, event, listener }
      wanted.add(one)
      return () => void wanted.delete(one)
    },
    emit(event, queue, job) {
      for (const one of wanted) {
        if ((one.queue !== '*' && one.queue !== queue) || (one.event !== '*' && one.event !== event)) continue
        callListener(reporter, `A listener of queue "${queue}" failed.`, () =>
          one.listener(event, queue, job && { ...job }),
        )
      }
    },
    clear: () => wanted.clear(),
  }
}
