import type { MaybePromise, Processor, RegisteredWorker, WorkerManager } from '../../../kernel/index.ts'
import { createRoom, type Room, type RoomOptions } from './worker-room.ts'

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
  room: Room
}

/**
 * Keeps the books that every adapter needs: which workers share a queue, how much concurrency they add up to, and
 * that none takes more than its own. A queue has one consumer, opened with its first worker, closed with its last.
 */
export function createWorkerManager(open: OpenConsumer, options: RoomOptions): WorkerManager {
  const queues = new Map<string, Opened>()
  const total = ({ workers }: Opened): number =>
    [...workers.values()].reduce((sum, { options: { concurrency } }) => sum + concurrency, 0)

  return {
    async registerWorker(queue, name, processor, own) {
      const worker: RegisteredWorker = { queue, name, options: own }
      const opened = queues.get(queue)
      if (opened) {
        opened.workers.set(name, worker)
        opened.room.changed(name)
        return (await opened.consumer).setConcurrency(total(opened))
      }
      const workers = new Map([[name, worker]])
      const room = createRoom(workers, processor, options)
      const consumer = Promise.resolve(open(queue, room.process, own.concurrency))
      queues.set(queue, { consumer, workers, room })
      await consumer
    },
    async unregisterWorker(queue, name) {
      const opened = queues.get(queue)
      if (!opened?.workers.delete(name)) return
      opened.room.changed(name)
      const consumer = await opened.consumer
      if (opened.workers.size > 0) return consumer.setConcurrency(total(opened))
      queues.delete(queue)
      opened.room.close()
      await consumer.close({ timeout: Infinity })
    },
    getWorker: (queue, name) => queues.get(queue)?.workers.get(name),
    async closeAll({ timeout }) {
      const opened = [...queues.values()]
      queues.clear()
      await Promise.all(
        opened.map(async ({ consumer, room }) => {
          const closing = (await consumer).close({ timeout })
          room.close()
          await closing
        }),
      )
    },
  }
}
