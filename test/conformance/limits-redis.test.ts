import { createPluginHarness, limitsConformance } from 'nuxt-queue/testing/conformance'
import { afterAll } from 'vitest'
import queueRedis from '../../plugins/adapters/redis/queue/index.ts'
import redis from '../../plugins/adapters/redis/connection/index.ts'
import { sharedRedis } from '../services/redis.ts'

const server = await sharedRedis()
afterAll(() => server.stop())

limitsConformance({
  name: 'limits-redis',
  async create({ reporter }) {
    const config = { redis: { url: server.url, prefix: crypto.randomUUID(), checkServer: false } }
    const plugins = [redis, queueRedis]
    const { kernel, ...harness } = await createPluginHarness({ plugins, config, reporter, time: 'real' })
    return { ...harness, limits: kernel.port('limits') }
  },
})
