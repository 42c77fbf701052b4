import type { PgBoss } from 'pg-boss'
import type { Order } from './payload.ts'

/** How long to wait on an empty queue, in milliseconds: the shortest interval at which `work` polls. */
const POLL = 500

/**
 * Runs jobs one at a time. A batch of one is never full, so `work` would poll for each job, and a baseline that sleeps proves nothing.
 * Therefore its calls are made here. Returns a function that stops this.
 */
export function runOneByOne(
  boss: PgBoss,
  queue: string,
  handler: (jobs: readonly { data: Order }[]) => Promise<void>,
): () => Promise<void> {
  const stopping = new AbortController()
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const jobs = await boss.fetch<Order>(queue)
      if (jobs.length === 0) await new Promise((resolve) => setTimeout(resolve, POLL))
      if (jobs.length > 0) await handler(jobs)
      for (const { id } of jobs) await boss.complete(queue, id)
    }
  }
  const done = run()
  return () => {
    stopping.abort()
    return done
  }
}
