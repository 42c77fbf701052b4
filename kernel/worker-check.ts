import type { AnyPlugin, WorkerDefinition, WorkerInput, WorkerOptionCheck } from '../contracts/index.ts'
import { checkKeys, checkText, invalid, isObject, unknownKey } from './bounds.ts'

const INPUT_KEYS = ['id', 'config', 'handler', 'absPath']
/** The options of workers that the kernel reads itself. */
const OWN_KEYS = ['queue', 'name', 'runtime', 'concurrency']

/** @throws QueueError `WORKER_INVALID`, `OPTION_INVALID` for a value that is not a worker */
export function checkWorkerInput(input: WorkerInput): void {
  checkKeys('A worker', input, INPUT_KEYS, 'WORKER_INVALID')
  const { id, config, handler } = input
  checkText('The id of a worker', id, 'WORKER_INVALID')
  const wrong = (what: string, expected: string, value: unknown) =>
    invalid(`The ${what} of worker "${id}"`, expected, value, 'WORKER_INVALID')
  if (config !== undefined && !isObject(config)) throw wrong('config', 'an object', config)
  if (handler !== undefined && typeof handler !== 'function') throw wrong('handler', 'a function', handler)
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
    for (const [key, value] of Object.entries({ name, queue: queue.name, runtime: config.runtime })) {
      checkText(`Option "${key}" of worker "${id}"`, value, 'WORKER_INVALID')
    }
    for (const [key, value] of Object.entries(config)) {
      if (OWN_KEYS.includes(key)) continue
      const own = checks.get(key)
      if (!own) throw unknownKey(`Worker "${id}"`, key, [...OWN_KEYS, ...checks.keys()])
      if (value !== undefined) for (const one of own) await one(value, worker)
    }
  }
  return { check, define }
}
