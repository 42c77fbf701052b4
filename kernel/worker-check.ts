import type { AnyPlugin, WorkerDefinition, WorkerInput, WorkerOptionCheck } from '../contracts/index.ts'
import { checkKeys, checkText, unknownKey } from './bounds.ts'
import { QueueError } from './errors.ts'
import { shown } from './shown.ts'

const INPUT_KEYS = ['id', 'config', 'handler', 'absPath']
/** The options of workers that the kernel reads itself. */
const OWN_KEYS = ['queue', 'name', 'runtime', 'concurrency']

/** @throws QueueError `WORKER_INVALID`, `OPTION_INVALID` for a value that is not a worker */
export function checkWorkerInput(input: WorkerInput): void {
  checkKeys('A worker', input, INPUT_KEYS, 'WORKER_INVALID')
  const { id, config, handler } = input
  checkText('The id of a worker', id, 'WORKER_INVALID')
  if (config !== undefined && (typeof config !== 'object' || config === null || Array.isArray(config))) {
    throw new QueueError('WORKER_INVALID', `The config of worker "${id}" is an object; got ${shown(config)}.`)
  }
  if (handler !== undefined && typeof handler !== 'function') {
    throw new QueueError('WORKER_INVALID', `The handler of worker "${id}" is a function; got ${shown(handler)}.`)
  }
}

/** Checks the config of a worker. Each key belongs to the kernel or to a plugin, which checks its value. */
export function createWorkerCheck(plugins: readonly AnyPlugin[]) {
  const checks = new Map<string, Set<WorkerOptionCheck>>()
  const define = (key: string, check: WorkerOptionCheck): void => {
    checks.set(key, (checks.get(key) ?? new Set()).add(check))
  }
  for (const { workerOptions = {} } of plugins) {
    for (const [key, check] of Object.entries(workerOptions)) define(key, check)
  }

  /** @throws QueueError `OPTION_INVALID`, or what a plugin throws */
  const check = async (worker: WorkerDefinition): Promise<void> => {
    const { id, name, queue, worker: config } = worker
    checkText(`Option "name" of worker "${id}"`, name, 'WORKER_INVALID')
    checkText(`Option "queue" of worker "${id}"`, queue.name, 'WORKER_INVALID')
    checkText(`Option "runtime" of worker "${id}"`, config.runtime, 'WORKER_INVALID')
    for (const [key, value] of Object.entries(config)) {
      if (OWN_KEYS.includes(key)) continue
      const own = checks.get(key)
      if (!own) throw unknownKey(`Worker "${id}"`, key, [...OWN_KEYS, ...checks.keys()])
      if (value !== undefined) for (const one of own) await one(value, worker)
    }
  }
  return { check, define }
}
