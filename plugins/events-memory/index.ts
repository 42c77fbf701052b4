import { definePlugin } from '../../kernel/index.ts'
import { createMemoryEventStore } from './store.ts'

export { createMemoryEventStore } from './store.ts'

/** Keeps the events of every run in the memory of this process. */
export default definePlugin({
  name: 'events-memory',
  setup(kernel) {
    const store = createMemoryEventStore(kernel)
    kernel.provide('events', store)
    return () => store.close()
  },
})
