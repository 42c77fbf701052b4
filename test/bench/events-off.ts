import { definePlugin, type AnyPlugin, type EventStore } from 'nuxt-queue'

/** Stores nothing and rejects nothing, to measure the queue without events. */
export const eventsOff = (name: string): AnyPlugin =>
  definePlugin({
    name,
    setup(kernel) {
      const nothing = { ok: true, events: [], head: 0 } as const
      const store: EventStore = {
        capabilities: { durable: false, shared: false, globalCursor: false },
        append: () => nothing,
        read: () => [],
        byKey: () => undefined,
        head: () => 0,
        snapshots: { get: () => undefined, put: () => {} },
        subscribe: () => () => {},
        publish: () => {},
        runs: { get: () => undefined, list: () => [] },
        expire: () => 0,
        forget: () => 0,
        trim: () => {},
        close: () => {},
      }
      kernel.provide('events', store)
    },
  })
