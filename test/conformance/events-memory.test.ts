import { createPluginHarness, eventsConformance } from 'nuxt-queue/testing/conformance'
import eventsMemory from '../../plugins/adapters/memory/events/index.ts'

eventsConformance({
  name: 'events-memory',
  async create({ reporter }) {
    const { kernel, ...harness } = await createPluginHarness({ plugins: [eventsMemory], reporter })
    return { ...harness, events: kernel.port('events') }
  },
})
