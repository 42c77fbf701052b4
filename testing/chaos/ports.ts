import type { EventDraft, EventStore, JobDraft, Limits, MaybePromise, QueueProvider } from '../../kernel/index.ts'

/** Makes a call of a port. A call with a point is a write at which faults may happen. */
type PortCall = <T>(point: string | undefined, apply: () => MaybePromise<T>) => Promise<T>

export interface PortCalls {
  call: PortCall
  /** Registers what ends a subscription when its process dies. Returns a function that ends it. */
  subscribed(stop: () => void): () => void
  /** Wraps a listener so that a dead process hears nothing. */
  listener<Args extends unknown[]>(callback: (...args: Args) => void): (...args: Args) => void
}

const ENDS = /^step\.(?:completed|failed|cancelled|retry|deferred|started)$/

/** Names what a write does, so that a schedule can refer to it. */
const POINTS: Readonly<Record<string, ((...args: never[]) => string) | undefined>> = {
  'queue.enqueue': (job: JobDraft) => `enqueue ${job.name}`,
  'queue.enqueueMany': (jobs: readonly JobDraft[]) => `enqueue ${[...new Set(jobs.map(({ name }) => name))].join('+')}`,
  'queue.retry': (queue: string) => `retry ${queue}`,
  'queue.reschedule': (queue: string) => `reschedule ${queue}`,
  'queue.promote': (queue: string) => `promote ${queue}`,
  'queue.cancel': (queue: string) => `cancel ${queue}`,
  'queue.remove': (queue: string) => `remove ${queue}`,
  'queue.pause': (queue: string) => `pause ${queue}`,
  'queue.resume': (queue: string) => `resume ${queue}`,
  'events.append': appendPoint,
  'limits.acquire': (key: string) => `acquire ${key}`,
  'limits.release': (key: string) => `release ${key}`,
  'limits.take': (bucket: string) => `take ${bucket}`,
}

/** Names an append by its most telling event: the end of an attempt, or else the last event. */
function appendPoint(_stream: string, events: readonly EventDraft[]): string {
  const event = events.find(({ type }) => ENDS.test(type)) ?? events.at(-1)
  const { name } = (event?.data ?? {}) as { name?: unknown }
  const detail =
    event?.type.startsWith('step.') && typeof name === 'string' && !ENDS.test(event.type) ? name : undefined
  return ['append', event?.type, event?.step, detail].filter((part) => part !== undefined).join(' ')
}

/** Returns a port each of whose methods goes through `call`, as calls to a store over a network do. */
function wrap<T extends object>(path: string, port: T, { call }: PortCalls, own: Partial<T>): T {
  const wrapped = new Map<PropertyKey, unknown>(Object.entries(own))
  return new Proxy(port, {
    get(target, key) {
      if (wrapped.has(key)) return wrapped.get(key)
      const member: unknown = target[key as keyof T]
      if (typeof member !== 'function') return member
      const point = POINTS[`${path}.${String(key)}`]
      const method = (...args: never[]): Promise<unknown> =>
        call(point?.(...args), () => member.apply(target, args) as unknown)
      wrapped.set(key, method)
      return method
    },
  })
}

export function wrapQueue(queue: QueueProvider, calls: PortCalls): QueueProvider {
  return wrap('queue', queue, calls, {
    on: (name, event, listener) => calls.subscribed(queue.on(name, event, calls.listener(listener))),
    close: () => {},
  })
}

export function wrapEvents(events: EventStore, calls: PortCalls): EventStore {
  const { call, subscribed, listener } = calls
  return wrap('events', events, calls, {
    snapshots: wrap('events.snapshots', events.snapshots, calls, {}),
    runs: wrap('events.runs', events.runs, calls, {}),
    subscribe: (stream, { onMessage, ...options }, callback) =>
      call(undefined, async () => {
        const onOwnMessage = onMessage && listener(onMessage)
        return subscribed(await events.subscribe(stream, { ...options, onMessage: onOwnMessage }, listener(callback)))
      }),
    close: () => {},
  })
}

export function wrapLimits(limits: Limits, calls: PortCalls): Limits {
  return wrap('limits', limits, calls, {})
}
