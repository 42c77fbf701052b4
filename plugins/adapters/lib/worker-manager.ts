import type { MaybePromise, Processor, RegisteredWorker, WorkerManager } from '../../../kernel/index.ts'
import { createWorkerLimits, type WorkerSlots, type WorkerLimitsOptions } from './worker-limits.ts'

/** The part of a `WorkerManager` that each adapter implements: one consumer of one queue. */
export interface Consumer {
  setConcurrency(concurrency: number): MaybePromise<void>
  /** Stops claiming. Resolves when no claimed job is running, or after `timeout` milliseconds. */
  close(options: { timeout: number }): MaybePromise<void>
}

export type OpenConsumer = (queue: string, processor: Processor, concurrency: number) => MaybePromise<Consumer>

interface Opened {
  consumer: Promise<Consumer>
  workers: Map<string, RegisteredWorker>
  limits: WorkerSlots
}

/**
 * Creates the registry of workers that every adapter needs. It groups the workers of a queue, opens the consumer of the queue with the sum
 * of their concurrency, and enforces the concurrency of each worker. The consumer of a queue is opened with the first worker and closed
 * with the last.
 */
export function createWorkerManager(open: OpenConsumer, options: WorkerLimitsOptions): WorkerManager {
  const queues = new Map<string, Opened>()
  const total = ({ workers }: Opened): number =>
    [...workers.values()].reduce((sum, { options: { concurrency } }) => sum + concurrency, 0)

  return {
    async registerWorker(queue, name, processor, own) {
      const worker: RegisteredWorker = { queue, name, options: own }
      const opened = queues.get(queue)
      if (opened) {
        opened.workers.set(name, worker)
        opened.limits.changed(name)
        return (await opened.consumer).setConcurrency(total(opened))
      }
      const workers = new Map([[name, worker]])
      const limits = createWorkerLimits(workers, processor, options)
      const consumer = Promise.resolve(open(queue, limits.process, own.concurrency))
      queues.set(queue, { consumer, workers, limits })
      await consumer
    },
    async unregisterWorker(queue, name) {
      const opened = queues.get(queue)
      if (!opened?.workers.delete(name)) return
      opened.limits.changed(name)
      const consumer = await opened.consumer
      if (opened.workers.size > 0) return consumer.setConcurrency(total(opened))
      queues.delete(queue)
      opened.limits.close()
      await consumer.close({ timeout: Infinity })
    },
    getWorker: (queue, name) => queues.get(queue)?.workers.get(name),
    async closeAll({ timeout }) {
      const opened = [...queues.values()]
      queues.clear()
      await Promise.all(
        opened.map(async ({ consumer, limits }) => {
          const closing = (await consumer).close({ timeout })
          limits.close()
          await closing
        }),
      )
    },
  }
}
