import { definePlugin } from '../../../../kernel/index.ts'
import { createWorkerManager } from '../../lib/worker-manager.ts'
import { createRedisJobCopies } from './copies.ts'
import { createConsumer, type RedisConsumer } from './consumer.ts'
import { createRedisLimits } from './limits.ts'
import { createListeners } from '../../lib/listeners.ts'
import { createRedisQueueProvider } from './provider.ts'
import { createQueues } from './queues.ts'

/** How long to wait until the last settlements are stored, before the connection is closed, in milliseconds. */
const FLUSH_TIMEOUT = 2000
/** How long a claimed job waits for its worker before it returns to the queue for other processes, in milliseconds. */
const MAX_WAIT = 1000

/** Provides queues and consumers on BullMQ's storage, and limits in Redis. The plugin `redis` has the options. */
export default definePlugin({
  name: 'queue-redis',
  requires: ['redis'],
  async setup(kernel) {
    const redis = kernel.port('redis')
    const queues = await createQueues(redis, kernel.reporter)
    const listeners = createListeners(kernel.reporter)
    const consumers = new Map<string, RedisConsumer>()
    const all = new Set<RedisConsumer>()
    const provider = createRedisQueueProvider(redis, queues, listeners, () => [...consumers.keys()], kernel)
    kernel.provide('queue', provider)
    kernel.provide('jobCopies', createRedisJobCopies(redis, queues, provider))
    kernel.provide('limits', createRedisLimits(redis))
    kernel.provide(
      'workers',
      createWorkerManager(
        (queue, processor, concurrency) => {
          const consumer = createConsumer(queue, redis, queues, listeners, kernel, processor, concurrency)
          consumers.set(queue, consumer)
          all.add(consumer)
          return {
            setConcurrency: (value) => consumer.setConcurrency(value),
            async close(options) {
              if (consumers.get(queue) === consumer) consumers.delete(queue)
              await consumer.close(options)
            },
          }
        },
        { kernel, maxWait: MAX_WAIT },
      ),
    )
    return async () => {
      const stored = Promise.all([...all].map((consumer) => consumer.flush()))
      await Promise.race([stored, new Promise((resolve) => setTimeout(resolve, FLUSH_TIMEOUT).unref())])
      for (const consumer of all) consumer.stop()
      await provider.close()
      await queues.close()
    }
  },
})
