import { definePlugin } from '../../../../kernel/index.ts'
import { createRedisEventCopies } from './copies.ts'
import { createShards, fixShards } from './shards.ts'
import { createRedisEventStore } from './store.ts'

/** Keeps the events of every run in Redis Streams. Configured by the plugin `redis`. */
export default definePlugin({
  name: 'events-redis',
  requires: ['redis'],
  async setup(kernel) {
    const redis = kernel.port('redis')
    await fixShards(redis)
    const store = createRedisEventStore(redis, kernel)
    kernel.provide('events', store)
    kernel.provide('eventCopies', createRedisEventCopies(redis, createShards(redis), store))
    return () => store.close()
  },
})
