import { timerDelay } from '../../../../kernel/index.ts'
import { quoteName, type PostgresPort } from '../lib/postgres.ts'
import { SWEEP, sweepInBatches } from '../lib/sweep.ts'
import type { QueueConsumer } from './consumer.ts'

/** The longest interval between searches for jobs with an expired lease, in milliseconds. */
const MAX_INTERVAL = 2000
const SWEEP_INTERVAL = 60_000

/** Renews the leases of all jobs of this process, and makes jobs with an expired lease available again. */
export function createUpkeep(db: PostgresPort, consumers: ReadonlySet<QueueConsumer>) {
  const s = quoteName(db.schema)
  const interval = Math.min(MAX_INTERVAL, db.lease / 4)
  let timer: NodeJS.Timeout | undefined
  let closed = false
  let sweptAt = performance.now()

  /** Renews all leases of a consumer with one statement. */
  async function renew({ name, held, lose }: QueueConsumer): Promise<void> {
    const now = performance.now()
    const due = [...held.values()].filter(({ since }) => now - since >= db.lease / 3)
    if (due.length === 0) return
    const values = [name, due.map(({ key }) => key), due.map(({ count }) => count), db.lease]
    const text = `SELECT id FROM ${s}.nq_renew($1, $2, $3, $4) AS id`
    const rows = await db.query<{ id: string }>(text, values, { repeatable: true })
    const renewed = new Set(rows.map(({ id }) => id))
    for (const job of due) {
      if (renewed.has(job.key)) job.since = now
      else lose(job)
    }
  }

  async function reclaim(): Promise<void> {
    const names = [...new Set([...consumers].map(({ name }) => name))]
    if (names.length === 0) return
    const text = `SELECT name FROM ${s}.nq_reclaim($1)`
    const rows = await db.query<{ name: string }>(text, [names], { repeatable: true })
    const found = new Set(rows.map(({ name }) => name))
    for (const consumer of consumers) if (found.has(consumer.name)) consumer.wake()
  }

  /** Deletes remembered ids that have expired. */
  async function forgetIds(limit: number): Promise<number> {
    const text = `DELETE FROM ${s}.nq_forgotten WHERE (name, id) IN (
      SELECT name, id FROM ${s}.nq_forgotten WHERE until < clock_timestamp() ORDER BY until LIMIT $1) RETURNING 1 AS one`
    return (await db.query(text, [limit], SWEEP)).length
  }

  async function tick(): Promise<void> {
    try {
      // Renew first, so that after an outage this process does not reclaim its own jobs.
      for (const consumer of consumers) await renew(consumer)
      await reclaim()
      if (performance.now() - sweptAt > SWEEP_INTERVAL) {
        sweptAt = performance.now()
        await db.query(`SELECT ${s}.nq_limit_sweep()`, [], { repeatable: true })
        await sweepInBatches(forgetIds)
      }
    } catch (error) {
      if (!closed) db.reporter.error('Leases could not be renewed or reclaimed. The call is repeated.', error)
    }
    if (!closed) arm()
  }

  function arm(): void {
    timer = setTimeout(() => void tick(), timerDelay(interval))
  }

  return {
    start: arm,
    stop(): void {
      closed = true
      clearTimeout(timer)
    },
  }
}
