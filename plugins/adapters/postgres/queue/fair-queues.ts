import { quoteName, type PostgresPort } from '../lib/postgres.ts'

/**
 * Marks the queues that have jobs with fair keys. Their polls give turns to jobs that become due. A queue is marked before its first such
 * job is stored, and never in the transaction of a caller, which would hold the row.
 */
export function createFairQueues(db: PostgresPort) {
  const marked = new Map<string, Promise<unknown>>()
  const text = `INSERT INTO ${quoteName(db.schema)}.nq_queue AS q (name, fair) VALUES ($1, true)
    ON CONFLICT (name) DO UPDATE SET fair = true WHERE NOT q.fair`
  return {
    /** @param queue the name of the queue in pg-boss */
    async ensure(queue: string): Promise<void> {
      let marking = marked.get(queue)
      if (!marking) {
        marked.set(queue, (marking = db.query(text, [queue], { repeatable: true })))
        marking.catch(() => marked.delete(queue))
      }
      await marking
    },
  }
}
