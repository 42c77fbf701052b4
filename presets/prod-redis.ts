import { definePreset } from '../kernel/index.ts'
import eventsRedis from '../plugins/adapters/redis/events/index.ts'
import queueRedis from '../plugins/adapters/redis/queue/index.ts'
import redis from '../plugins/adapters/redis/connection/index.ts'
import { capabilities } from './common.ts'

/** Jobs as BullMQ keeps them and events in Redis Streams, for any number of instances. */
export default definePreset({ name: 'prod-redis', plugins: [redis, queueRedis, eventsRedis, ...capabilities] })
