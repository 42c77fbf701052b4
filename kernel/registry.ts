import type { Registry, WorkerDefinition, WorkerInput } from '../contracts/index.ts'
import { isCount } from './bounds.ts'
import { QueueError } from './errors.ts'

/** Completes a worker with the defaults for queue, job name, runtime and concurrency. */
export function defineWorker({ id, config = {}, handler, absPath }: WorkerInput): WorkerDefinition {
  const { concurrency = 1, queue, name = id, runtime = 'node' } = config
  if (typeof id !== 'string' || id === '' || !isCount(concurrency)) {
    const expected = 'A worker has an id, a non-empty string, and a concurrency, a whole number from 1'
    throw new QueueError('WORKER_INVALID', `${expected}; got "${id}" and ${concurrency} in ${absPath ?? 'code'}.`)
  }
  const queueName = queue ?? (config.concurrency === undefined ? 'default' : id)
  return {
    id,
    name,
    queue: { name: queueName },
    worker: { ...config, runtime, concurrency },
    handler,
    absPath,
  }
}

/** The prefix of the ids of dead letters. */
const LETTER = 'dead.'

export function createRegistry() {
  const byId = new Map<string, WorkerDefinition>()
  const byQueue = new Map<string, Map<string, WorkerDefinition>>()

  return {
    get workers() {
      return [...byId.values()]
    },
    get: (id: string) => byId.get(id),
    find(queue: string, name: string, id = '') {
      const workers = byQueue.get(queue)
      const worker = workers?.get(name)
      if (worker || workers?.size !== 1) return worker
      return name === '' || id.startsWith(LETTER) ? [...workers.values()][0] : undefined
    },
    /** @param instead the worker that the new worker replaces */
    add(worker: WorkerDefinition, instead?: WorkerDefinition) {
      const { id, name, queue } = worker
      const workers = byQueue.get(queue.name) ?? new Map<string, WorkerDefinition>()
      const there = [byId.get(id), workers.get(name)].find((one) => one && one !== instead)
      if (there) {
        const both = [there, worker].map(({ absPath }) => absPath ?? `a worker registered as "${id}"`)
        const message = `${both.join(' and ')} both handle "${name}" on queue "${queue.name}". Rename one.`
        throw new QueueError('WORKER_DUPLICATE', message, { details: { workers: both } })
      }
      if (instead) byQueue.get(instead.queue.name)?.delete(instead.name)
      byQueue.set(queue.name, workers.set(name, worker))
      byId.set(id, worker)
    },
    remove(id: string) {
      const worker = byId.get(id)
      byId.delete(id)
      if (worker) byQueue.get(worker.queue.name)?.delete(worker.name)
      return worker
    },
  } satisfies Registry & Record<string, unknown>
}
