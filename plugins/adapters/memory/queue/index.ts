import { z } from 'zod'
import { definePlugin, type Diagnosis } from '../../../../kernel/index.ts'
import { createWorkerManager } from '../../lib/worker-manager.ts'
import { createLocalLimits } from '../../lib/local-queue/limits.ts'
import { createLocalQueues } from '../../lib/local-queue/provider.ts'

/** Queues, consumers and limits in the memory of this process. */
export default definePlugin({
  name: 'queue-memory',
  configKey: 'memory',
  options: z.strictObject({
    /**
     * The maximum number of jobs that wait in one queue, including delayed ones. Beyond it, `enqueue` throws
     * `QUEUE_FULL`. Default: no limit.
     */
    maxQueueSize: z.number().int().min(1).or(z.literal(Infinity)).default(Infinity),
  }),
  setup(kernel, { maxQueueSize }) {
    const { provider, copies, open } = createLocalQueues(kernel, {
      durable: false,
      maxQueueSize,
      configKey: 'memory',
    })
    kernel.provide('queue', { ...provider, diagnose: () => [inMemory()] })
    kernel.provide('jobCopies', copies)
    kernel.provide('limits', createLocalLimits(kernel).limits)
    kernel.provide('workers', createWorkerManager(open, { kernel, maxParked: Infinity }))
    return () => provider.close()
  },
})

function inMemory(): Diagnosis {
  const message = 'Jobs are kept in the memory of this process, and are lost with it.'
  if (process.env.NODE_ENV !== 'production') return { check: 'memory', level: 'ok', message }
  return { check: 'memory', level: 'problem', message, hint: 'Choose another adapter for production.' }
}
