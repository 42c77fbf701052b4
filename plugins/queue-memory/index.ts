import { z } from 'zod'
import { definePlugin } from '../../kernel/index.ts'
import { createWorkerManager } from '../_shared/worker-manager.ts'
import { createMemoryLimits } from './limits.ts'
import { createMemoryQueues } from './provider.ts'

export { createMemoryLimits } from './limits.ts'

/** Queues, consumers and limits in the memory of this process. */
export default definePlugin({
  name: 'queue-memory',
  configKey: 'memory',
  options: z.strictObject({
    /** How many jobs may wait in one queue, delayed ones included; then `enqueue` throws `QUEUE_FULL`. */
    maxQueueSize: z.number().int().min(1).or(z.literal(Infinity)).default(Infinity),
  }),
  setup(kernel, options) {
    const { provider, queueOf } = createMemoryQueues(kernel, options)
    kernel.provide('queue', provider)
    kernel.provide('limits', createMemoryLimits(kernel))
    kernel.provide(
      'workers',
      createWorkerManager((name, processor, concurrency) => queueOf(name).open(processor, concurrency)),
    )
    return () => provider.close()
  },
})
