import { createKernel } from 'nuxt-queue/kernel'
import { presetConformance } from 'nuxt-queue/testing/conformance'
import dev from '../../presets/dev.ts'

presetConformance({
  name: 'dev, in real time',
  async create(options) {
    return { kernel: await createKernel({ preset: dev, ...options }), dispose: () => {} }
  },
})
