import { createPluginHarness, limitsConformance } from 'nuxt-queue/testing/conformance'
import queueMemory from '../../plugins/adapters/memory/queue/index.ts'

limitsConformance({
  name: 'limits-memory',
  async create({ reporter }) {
    const { kernel, ...harness } = await createPluginHarness({ plugins: [queueMemory], reporter })
    return { ...harness, limits: kernel.port('limits') }
  },
})
