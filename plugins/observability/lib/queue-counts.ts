import type { JobState, Kernel } from '../../../kernel/index.ts'
import { largeCount } from '../../lib/large-counts.ts'

/** What the store has of a queue. */
export interface QueueCounts {
  queue: string
  counts: Record<JobState, number>
  /** The oldest waiting job: its id, and when it was due in milliseconds since the epoch. */
  oldest: { id: string; due: number } | undefined
}

/** The prefix of the ids of dead letters. */
const LETTER = 'dead.'

/** Whether a waiting job is a dead letter, which waits for somebody to look at it. */
export function isDeadLetter({ id }: { id: string }): boolean {
  return id.startsWith(LETTER)
}

/** How many queues are counted at the same time. */
const AT_ONCE = 16
/** How many times as long as it took the result of a search for the oldest job is kept. */
const SHARE = 10

/** Returns a function that counts the jobs of queues, and finds the oldest waiting job of each. */
export function createQueueCounter(kernel: Kernel) {
  const { clock } = kernel
  let found = new Map<string, { oldest: QueueCounts['oldest']; at: number; took: number }>()

  /** A store may have to read all waiting jobs for this, so it takes at most a tenth of the time. */
  async function oldestOf(queue: string) {
    const known = found.get(queue)
    const began = clock.now()
    if (known && began - known.at < SHARE * known.took) return known
    const [job] = await kernel.port('queue').getJobs({ queue, states: ['waiting'], limit: 1 })
    const at = clock.now()
    return { oldest: job && { id: job.id, due: Math.max(job.createdAt, job.runAt) }, at, took: at - began }
  }

  async function countQueue(queue: string): Promise<QueueCounts> {
    const count = async () => ({ counts: await kernel.port('queue').getJobCounts(queue) })
    const { counts } = await largeCount(kernel, `queue ${queue}`, count)
    if (counts.waiting === 0) return { queue, counts, oldest: undefined }
    const search = await oldestOf(queue)
    found.set(queue, search)
    return { queue, counts, oldest: search.oldest }
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
