import { definePlugin } from '../../../../kernel/index.ts'
import { createLocalEvents } from '../../lib/local-events/store.ts'

/** Keeps the events of every run in the memory of this process. */
export default definePlugin({
  name: 'events-memory',
  setup(kernel) {
    const { store, copies } = createLocalEvents(kernel, { durable: false })
    kernel.provide('events', store)
    kernel.provide('eventCopies', copies)
    return () => store.close()
  },
})
