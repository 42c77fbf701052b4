import type { RunOutcome } from '../../../../kernel/index.ts'
import { ChurnMap } from '../churn-map.ts'
import { EndedLists, type EndedNode } from '../ended.ts'

const OUTCOMES: readonly RunOutcome[] = ['completed', 'failed', 'cancelled']

/** What stays known of a job that was forgotten. */
export interface ForgottenJob {
  queue: string
  id: string
  runId: string
  /** How it ended. */
  outcome: RunOutcome
  /** Until when its id is known, in milliseconds since the epoch. */
  until: number
}

/** Ids of jobs that were forgotten and are still known. */
export function createForgotten() {
  const byKey = new ChurnMap<string, EndedNode<ForgottenJob>>()
  /** In each list the windows end in the order in which their jobs did, as long as they are of one length. */
  const lists = new EndedLists<ForgottenJob>()
  const keyOf = (queue: string, id: string): string => `${queue}\n${id}`

  function drop(queue: string, id: string): boolean {
    const node = byKey.get(keyOf(queue, id))
    if (!node) return false
    lists.remove(node)
    return byKey.delete(keyOf(queue, id))
  }

  return {
    find(queue: string, id: string, now: number): ForgottenJob | undefined {
      if (byKey.size === 0) return undefined
      const item = byKey.get(keyOf(queue, id))?.item
      return item && item.until > now ? item : undefined
    },
    add(job: ForgottenJob): void {
      drop(job.queue, job.id)
      byKey.set(keyOf(job.queue, job.id), lists.add(job, { ...job, endedAt: job.until }))
    },
    /** Frees an id. */
    drop,
    /** Drops what need not be known any more. */
    sweep(now: number): void {
      for (const outcome of OUTCOMES) {
        const over = lists.expire({ outcome, endedBefore: now, keep: Infinity })
        for (const { queue, id } of over) byKey.delete(keyOf(queue, id))
      }
    },
    of: (queue: string): ForgottenJob[] =>
      Array.from(byKey.values(), ({ item }) => item).filter((job) => job.queue === queue),
  }
}
