import type { MaybePromise, Processor, RegisteredWorker, WorkerManager } from '../../kernel/index.ts'

/** What an adapter writes for its side of `WorkerManager`: one consumer of one queue. */
export interface Consumer {
  setConcurrency(concurrency: number): MaybePromise<void>
  /** Claims nothing more; resolves when nothing it claimed is running, or after `timeout` milliseconds. */
  close(options: { timeout: number }): MaybePromise<void>
}

export type OpenConsumer = (queue: string, processor: Processor, concurrency: number) => MaybePromise<Consumer>

interface Opened {
  consumer: Promise<Consumer>
  workers: Map<string, RegisteredWorker>
}

/**
 * Keeps the books that every adapter needs: which workers share a queue, and how much concurrency
 * they add up to. A queue has one consumer, opened with its first worker, closed with its last.
 */
export function createWorkerManager(open: OpenConsumer): WorkerManager {
  const queues = new Map<string, Opened>()
  const total = ({ workers }: Opened): number =>
    [...workers.values()].reduce((sum, { options }) => sum + options.concurrency, 0)

  return {
    async registerWorker(queue, name, processor, options) {
      const worker: RegisteredWorker = { queue, name, options }
      const opened = queues.get(queue)
      if (opened) {
        opened.workers.set(name, worker)
        return (await opened.consumer).setConcurrency(total(opened))
      }
      const consumer = Promise.resolve(open(queue, processor, options.concurrency))
      queues.set(queue, { consumer, workers: new Map([[name, worker]]) })
      await consumer
    },
    async unregisterWorker(queue, name) {
      const opened = queues.get(queue)
      if (!opened?.workers.delete(name)) return
      const consumer = await opened.consumer
      if (opened.workers.size > 0) return consumer.setConcurrency(total(opened))
      queues.delete(queue)
      await consumer.close({ timeout: Infinity })
    },
    getWorker: (queue, name) => queues.get(queue)?.workers.get(name),
    async closeAll({ timeout }) {
      const opened = [...queues.values()]
      queues.clear()
      await Promise.all(opened.map(async ({ consumer }) => (await consumer).close({ timeout })))
    },
  }
}
