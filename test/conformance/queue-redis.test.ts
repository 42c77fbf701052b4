import { QueueError } from 'nuxt-queue/kernel'
import { createPluginHarness, queueConformance } from 'nuxt-queue/testing/conformance'
import { afterAll } from 'vitest'
import queueRedis from '../../plugins/adapters/redis/queue/index.ts'
import redis from '../../plugins/adapters/redis/connection/index.ts'
import { sharedRedis } from '../services/redis.ts'

const server = await sharedRedis()
afterAll(() => server.stop())

queueConformance({
  name: 'queue-redis',
  async create({ reporter, maxQueueSize }) {
    if (maxQueueSize !== undefined) throw new QueueError('OPTION_UNSUPPORTED', 'Redis has no "maxQueueSize".')
    const config = { redis: { url: server.url, prefix: crypto.randomUUID(), checkServer: false } }
    const plugins = [redis, queueRedis]
    const { kernel, ...harness } = await createPluginHarness({ plugins, config, reporter, time: 'real' })
    const ports = { queue: kernel.port('queue'), workers: kernel.port('workers'), limits: kernel.port('limits') }
    return { ...harness, ...ports }
  },
})
