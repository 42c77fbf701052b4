import type { Kernel } from '../../../kernel/index.ts'
import { watchOutage } from '../../lib/outage.ts'
import { withinTime } from '../../lib/within-time.ts'
import { createQueueCounter, type QueueCounts } from './queue-counts.ts'

export interface StoreCounts {
  queues: QueueCounts[]
  /** How many queues there are beyond `MAX_QUEUES`. */
  uncounted: number
  /** The number of runs that have not ended, at most `MAX_RUNS`. */
  activeRuns: number
}

/** Whether the jobs of a queue are counted. */
export type IsShown = (queue: string) => boolean

/**
 * The maximum number of queues that are counted separately, so that generated names do not use much memory here and in the metrics
 * database.
 */
export const MAX_QUEUES = 200
/** The maximum number of runs that are counted. A store reads each of them. */
const MAX_RUNS = 10_000
const PAGE = 1000
/** How long the store may take to respond, in milliseconds. Prometheus waits for 10 seconds by default. */
const STORE_TIMEOUT = 5_000
/** The count of runs is cached for this multiple of its duration. */
const SHARE = 10

/**
 * Returns a function that counts the jobs and runs of the store. All calls within `keep` milliseconds share the result. It resolves
 * with `undefined` while the store is unavailable.
 */
export function createStoreCounts(kernel: Kernel, isShown: IsShown, keep: number) {
  const { clock, reporter } = kernel
  const outage = watchOutage({
    away: (error) => reporter.warn('The jobs in the store cannot be counted. Their metrics are missing.', error),
    back: () => reporter.warn('The jobs in the store can be counted again.'),
  })
  const countQueues = createQueueCounter(kernel)
  let kept: { value: StoreCounts; at: number } | undefined
  let counting: Promise<StoreCounts> | undefined
  let runs: { active: number; at: number; took: number } | undefined

  /** A store reads up to `MAX_RUNS` runs for this, so it takes at most a tenth of the time. */
  async function countRuns(): Promise<number> {
    const began = clock.now()
    if (runs && began - runs.at < SHARE * runs.took) return runs.active
    const active = await countActive(kernel, !isShown('_'))
    const at = clock.now()
    runs = { active, at, took: at - began }
    return active
  }

  async function countAll(): Promise<StoreCounts> {
    const all = await kernel.port('queue').getQueues()
    const names = all.filter(isShown).toSorted()
    const queues = await countQueues(names.slice(0, MAX_QUEUES))
    return { queues, uncounted: names.length - queues.length, activeRuns: await countRuns() }
  }

  return async (): Promise<StoreCounts | undefined> => {
    if (kept && clock.now() - kept.at < keep) return kept.value
    counting ??= countAll().finally(() => (counting = undefined))
    try {
      const late = (): Error => new Error(`The store did not respond within ${STORE_TIMEOUT} ms.`)
      const value = await withinTime(clock, STORE_TIMEOUT, counting, late)
      kept = { value, at: clock.now() }
      outage.worked()
      return value
    } catch (error) {
      outage.failed(error)
      return undefined
    }
  }
}

async function countActive(kernel: Kernel, hideInternal: boolean): Promise<number> {
  const { runs } = kernel.port('events')
  let count = 0
  let after: { runId: string; startedAt: number } | undefined
  for (;;) {
    const page = await runs.list({ status: 'running', hideInternal, limit: PAGE, after })
    count += page.length
    if (page.length < PAGE || count >= MAX_RUNS) return count
    after = page.at(-1)!
  }
}
