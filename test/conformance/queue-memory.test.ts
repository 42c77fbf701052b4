import { createPluginHarness, queueConformance } from 'nuxt-queue/testing/conformance'
import queueMemory from '../../plugins/adapters/memory/queue/index.ts'

queueConformance({
  name: 'queue-memory',
  async create({ reporter, maxQueueSize }) {
    const { kernel, ...harness } = await createPluginHarness({
      plugins: [queueMemory],
      config: { memory: { maxQueueSize } },
      reporter,
    })
    const ports = { queue: kernel.port('queue'), workers: kernel.port('workers'), limits: kernel.port('limits') }
    return { ...harness, ...ports }
  },
})
