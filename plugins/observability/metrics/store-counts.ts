import type { JobState, Kernel } from '../../../kernel/index.ts'
import { largeCount } from '../../lib/large-counts.ts'
import { watchOutage } from '../../lib/outage.ts'
import type { IsShown } from './observe.ts'
import { MOST_QUEUES } from './rows.ts'

/** What the store has of a queue. */
interface QueueCounts {
  queue: string
  counts: Record<JobState, number>
  /** When the oldest waiting job was due, in milliseconds since the epoch. */
  oldest: number | undefined
}

export interface StoreCounts {
  queues: QueueCounts[]
  /** How many queues there are beyond `MOST_QUEUES`. */
  uncounted: number
}

/** How long the store may take to respond, in milliseconds. Prometheus waits for 10 seconds by default. */
const PATIENCE = 5_000
/** How many queues are counted at the same time. */
const AT_ONCE = 16
/** How many times as long as it took the result of a search for the oldest job is kept. */
const SHARE = 10

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
  let kept: { value: StoreCounts; at: number } | undefined
  let counting: Promise<StoreCounts> | undefined
  let found = new Map<string, { oldest: number | undefined; at: number; took: number }>()

  /** A store may have to read all waiting jobs for this, so it takes at most a tenth of the time. */
  async function oldestOf(queue: string) {
    const known = found.get(queue)
    const began = clock.now()
    if (known && began - known.at < SHARE * known.took) return known
    const [job] = await kernel.port('queue').getJobs({ queue, states: ['waiting'], limit: 1 })
    const at = clock.now()
    return { oldest: job && Math.max(job.createdAt, job.runAt), at, took: at - began }
  }

  async function countQueue(queue: string): Promise<QueueCounts> {
    const count = async () => ({ counts: await kernel.port('queue').getJobCounts(queue) })
    const { counts } = await largeCount(kernel, `queue ${queue}`, count)
    if (counts.waiting === 0) return { queue, counts, oldest: undefined }
    const search = await oldestOf(queue)
    found.set(queue, search)
    return { queue, counts, oldest: search.oldest }
  }

  async function countAll(): Promise<StoreCounts> {
    const all = await kernel.port('queue').getQueues()
    const names = all.filter(isShown).toSorted()
    const counted = names.slice(0, MOST_QUEUES)
    const queues: QueueCounts[] = []
    for (let from = 0; from < counted.length; from += AT_ONCE) {
      queues.push(...(await Promise.all(counted.slice(from, from + AT_ONCE).map(countQueue))))
    }
    found = new Map([...found].filter(([queue]) => counted.includes(queue)))
    return { queues, uncounted: names.length - counted.length }
  }

  async function inTime<T>(asking: Promise<T>): Promise<T> {
    const late = Promise.withResolvers<never>()
    const error = (): Error => new Error(`The store did not respond within ${PATIENCE} ms.`)
    const stop = clock.setTimeout(() => late.reject(error()), PATIENCE)
    try {
      return await Promise.race([asking, late.promise])
    } finally {
      stop()
    }
  }

  return async (): Promise<StoreCounts | undefined> => {
    if (kept && clock.now() - kept.at < keep) return kept.value
    counting ??= countAll().finally(() => (counting = undefined))
    try {
      const value = await inTime(counting)
      kept = { value, at: clock.now() }
      outage.worked()
      return value
    } catch (error) {
      outage.failed(error)
      return undefined
    }
  }
}
