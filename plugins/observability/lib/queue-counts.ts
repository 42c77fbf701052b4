import type { JobState, Kernel } from '../../../kernel/index.ts'
import { largeCount } from '../../lib/large-counts.ts'

/** The counts of a queue in the store. */
export interface QueueCounts {
  queue: string
  counts: Record<JobState, number>
  /** The oldest waiting job: its id, and when it was due in milliseconds since the epoch. */
  oldest: { id: string; due: number } | undefined
}

/** The prefix of the ids of dead letters. */
const LETTER = 'dead.'

/** Whether a waiting job is a dead letter, which waits for an operator. */
export function isDeadLetter({ id }: { id: string }): boolean {
  return id.startsWith(LETTER)
}

/** How many queues are counted at the same time. */
const AT_ONCE = 16
/**
 * A search for the oldest job that takes at least this long is slow, in milliseconds, and the result of a slow search is cached for this
 * multiple of its duration.
 */
const SLOW = 20
const SHARE = 10
/** The age at which a result is too old, so that the caller waits for a new one, in milliseconds. */
const MAX_AGE = 15_000

/** The result of a search for the oldest job, when it was found, and how many milliseconds that took. */
interface Found {
  oldest: QueueCounts['oldest']
  at: number
  took: number
}

/** Returns a function that counts the jobs of queues, and finds the oldest waiting job of each. */
export function createQueueCounter(kernel: Kernel) {
  const { clock } = kernel
  let found = new Map<string, Found>()
  const searching = new Set<string>()

  async function search(queue: string): Promise<Found> {
    const began = clock.now()
    const [job] = await kernel.port('queue').getJobs({ queue, states: ['waiting'], limit: 1 })
    const at = clock.now()
    const oldest = job && { id: job.id, due: Math.max(job.createdAt, job.runAt) }
    const result = { oldest, at, took: at - began }
    found.set(queue, result)
    return result
  }

  /**
   * A store may have to read all waiting jobs for this. A slow search is therefore repeated in the background, in at most a tenth of the
   * time, and callers receive the last result.
   */
  async function oldestOf(queue: string): Promise<Found> {
    const known = found.get(queue)
    const age = known ? clock.now() - known.at : Infinity
    if (!known || known.took < SLOW || age > MAX_AGE) return search(queue)
    if (age >= SHARE * known.took && !searching.has(queue)) {
      searching.add(queue)
      // After a failure the next call searches itself, and reports it.
      search(queue)
        .catch(() => void found.delete(queue))
        .finally(() => void searching.delete(queue))
    }
    return known
  }

  async function countQueue(queue: string): Promise<QueueCounts> {
    const count = async () => ({ counts: await kernel.port('queue').getJobCounts(queue) })
    const { counts } = await largeCount(kernel, `queue ${queue}`, count)
    if (counts.waiting === 0) return { queue, counts, oldest: undefined }
    const { oldest } = await oldestOf(queue)
    return { queue, counts, oldest }
  }

  return async (names: readonly string[]): Promise<QueueCounts[]> => {
    const queues: QueueCounts[] = []
    for (let from = 0; from < names.length; from += AT_ONCE) {
      queues.push(...(await Promise.all(names.slice(from, from + AT_ONCE).map(countQueue))))
    }
    found = new Map([...found].filter(([queue]) => names.includes(queue)))
    return queues
  }
}
