import type { RunOutcome } from '../../../../kernel/index.ts'
import { ChurnMap } from '../churn-map.ts'
import { EndedLists, type EndedNode } from '../ended.ts'

const OUTCOMES: readonly RunOutcome[] = ['completed', 'failed', 'cancelled']

/** What the queue remembers of a removed job, so that its id is not used again too early. */
export interface ForgottenJob {
  queue: string
  id: string
  runId: string
  /** How it ended. */
  outcome: RunOutcome
  /** The moment until which the id is remembered, in milliseconds since the epoch. */
  until: number
}

/** Keeps the ids of jobs that were removed and whose ids are still remembered. */
export function createForgotten() {
  const byKey = new ChurnMap<string, EndedNode<ForgottenJob>>()
  /** Ordered by `until`, as long as all ids are remembered for the same time. */
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
    /** Makes an id available again. Returns false if the id was not remembered. */
    drop,
    /** Drops ids that have expired. */
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
