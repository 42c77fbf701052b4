import { definePreset } from '../kernel/index.ts'
import eventsRedis from '../plugins/events-redis/index.ts'
import queueRedis from '../plugins/queue-redis/index.ts'
import redis from '../plugins/redis/index.ts'
import { capabilities } from './common.ts'

/** Jobs as BullMQ keeps them and events in Redis Streams, for any number of instances. */
export default definePreset({ name: 'prod-redis', plugins: [redis, queueRedis, eventsRedis, ...capabilities] })
