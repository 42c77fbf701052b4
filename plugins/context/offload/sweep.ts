import { isReserved, type EventStore, type Kernel, type QueueProvider } from '../../../kernel/index.ts'
import { parseKey } from './keys.ts'
import type { OffloadStorage } from './storage.ts'

export interface SweepOptions {
  storage: OffloadStorage
  /** The ports without this plugin around them, so that a sweep loads no values. */
  queue: () => QueueProvider
  events: () => EventStore
  /** Values that are younger than this are kept, because their reference may not be stored yet, in milliseconds. */
  minAge: number
  /** True once the kernel closes. The sweep then stops. */
  isClosed(): boolean
}

/** Removes the values of runs that no longer exist. Returns their number. */
export async function sweep(kernel: Pick<Kernel, 'clock'>, options: SweepOptions): Promise<number> {
  const { storage, queue, events, minAge, isClosed } = options
  const before = kernel.clock.now() - minAge
  const runs = new Map<string, { keys: string[]; newest: number }>()
  for (const key of await storage.getKeys()) {
    const found = parseKey(key)
    if (!found) continue
    const run = runs.get(found.runId) ?? { keys: [], newest: 0 }
    run.keys.push(key)
    run.newest = Math.max(run.newest, found.at)
    runs.set(found.runId, run)
  }
  let removed = 0
  let own: string[] | undefined
  for (const [runId, { keys, newest }] of runs) {
    if (isClosed()) break
    if (newest >= before || (await exists(runId))) continue
    for (const key of keys) await storage.removeItem(key)
    removed += keys.length
  }
  return removed

  /** Lists would miss jobs that change their state in the meantime. A search finds each job that exists all the time. */
  async function exists(runId: string): Promise<boolean> {
    if ((await events().head(runId)) > 0) return true
    const port = queue()
    if (!port.findJobs) return (await port.getJobs({ runId, limit: 1 })).length > 0
    // A search without a queue omits the queues of plugins.
    own ??= (await port.getQueues()).filter((name) => isReserved('queue', name))
    for (const of of [{}, ...own.map((name) => ({ queue: name }))]) {
      if ((await port.findJobs({ ...of, runId, limit: 1 })).jobs.length > 0) return true
    }
    return false
  }
}
