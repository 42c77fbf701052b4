import {
  callListener,
  type JobRecord,
  type QueueEvent,
  type QueueListener,
  type Reporter,
  type Unsubscribe,
} from '../../../../kernel/index.ts'

interface Wanted {
  queue: string
  event: QueueEvent | '*'
  listener: QueueListener
}

/** What happens to jobs in this process, told to whoever listens. Records are made only for listeners. */
export interface Signals {
  readonly any: boolean
  emit(event: QueueEvent, queue: string, job?: () => JobRecord): void
  on(queue: string, event: QueueEvent | '*', listener: QueueListener): Unsubscribe
  clear(): void
}

export function createSignals(reporter: Reporter): Signals {
  const listeners = new Set<Wanted>()
  return {
    get any() {
      return listeners.size > 0
    },
    emit(event, queue, job) {
      if (listeners.size === 0) return
      for (const wanted of listeners) {
        if (wanted.queue !== '*' && wanted.queue !== queue) continue
        if (wanted.event !== '*' && wanted.event !== event) continue
        callListener(reporter, `A listener of queue "${queue}" failed.`, () => wanted.listener(event, queue, job?.()))
      }
    },
    on(queue, event, listener) {
      const wanted = { queue, event, listener }
      listeners.add(wanted)
      return () => void listeners.delete(wanted)
    },
    clear: () => listeners.clear(),
  }
}
