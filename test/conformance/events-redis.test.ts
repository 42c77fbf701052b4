import { createPluginHarness, eventsConformance } from 'nuxt-queue/testing/conformance'
import { afterAll } from 'vitest'
import eventsRedis from '../../plugins/adapters/redis/events/index.ts'
import redis from '../../plugins/adapters/redis/connection/index.ts'
import { sharedRedis } from '../services/redis.ts'

const server = await sharedRedis()
afterAll(() => server.stop())

for (const shards of [1, 4]) {
  eventsConformance({
    name: `events-redis, ${shards === 1 ? 'one shard' : `${shards} shards`}`,
    async create({ reporter }) {
      const config = { redis: { url: server.url, prefix: crypto.randomUUID(), checkServer: false, shards } }
      const plugins = [redis, eventsRedis]
      const { kernel, ...harness } = await createPluginHarness({ plugins, config, reporter, time: 'real' })
      return { ...harness, events: kernel.port('events') }
    },
  })
}
