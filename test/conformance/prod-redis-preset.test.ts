import { createKernel, type Kernel } from 'nuxt-queue/kernel'
import { presetConformance } from 'nuxt-queue/testing/conformance'
import { afterAll } from 'vitest'
import prodRedis from '../../presets/prod-redis.ts'
import { sharedRedis } from '../services/redis.ts'

const server = await sharedRedis()
afterAll(() => server.stop())

presetConformance({
  name: 'prod-redis',
  async create({ config, reporter }) {
    const redis = { url: server.url, prefix: crypto.randomUUID(), checkServer: false }
    const sibling = (): Promise<Kernel> => createKernel({ preset: prodRedis, config: { ...config, redis }, reporter })
    return { kernel: await sibling(), sibling, dispose: () => {} }
  },
})
