import type { Kernel } from '../../../kernel/index.ts'
import { watchOutage } from '../../lib/outage.ts'
import { withinTime } from '../../lib/within-time.ts'
import { createQueueCounter, type QueueCounts } from '../lib/queue-counts.ts'
import type { IsShown } from './observe.ts'
import { MOST_QUEUES } from './rows.ts'

export interface StoreCounts {
  queues: QueueCounts[]
  /** How many queues there are beyond `MOST_QUEUES`. */
  uncounted: number
}

/** How long the store may take to respond, in milliseconds. Prometheus waits for 10 seconds by default. */
const PATIENCE = 5_000

/**
 * Returns a function that counts the jobs of the store. All scrapes within `keep` milliseconds share the result. It resolves with
 * `undefined` while the store is unavailable.
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

  async function countAll(): Promise<StoreCounts> {
    const all = await kernel.port('queue').getQueues()
    const names = all.filter(isShown).toSorted()
    const queues = await countQueues(names.slice(0, MOST_QUEUES))
    return { queues, uncounted: names.length - queues.length }
  }

  return async (): Promise<StoreCounts | undefined> => {
    if (kept && clock.now() - kept.at < keep) return kept.value
    counting ??= countAll().finally(() => (counting = undefined))
    try {
      const late = (): Error => new Error(`The store did not respond within ${PATIENCE} ms.`)
      const value = await withinTime(clock, PATIENCE, counting, late)
      kept = { value, at: clock.now() }
      outage.worked()
      return value
    } catch (error) {
      outage.failed(error)
      return undefined
    }
  }
}
