// In real time. `npm test` runs these tests in virtual time (test-preset.test.ts), and in real time on slow ports (slow-ports.test.ts).
import { createKernel } from 'nuxt-queue/kernel'
import { presetConformance } from 'nuxt-queue/testing/conformance'
import dev from '../../presets/dev.ts'

presetConformance({
  name: 'dev, in real time',
  async create(options) {
    return { kernel: await createKernel({ preset: dev, ...options }), dispose: () => {} }
  },
})
