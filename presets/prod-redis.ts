import { definePreset } from '../kernel/index.ts'
import eventsRedis from '../plugins/adapters/redis/events/index.ts'
import queueRedis from '../plugins/adapters/redis/queue/index.ts'
import redis from '../plugins/adapters/redis/connection/index.ts'
import { capabilities } from './common.ts'

/** For any number of processes. Jobs are stored in the format of BullMQ and events in Redis Streams. */
export default definePreset({ name: 'prod-redis', plugins: [redis, queueRedis, eventsRedis, ...capabilities] })
