import { timerDelay } from '../../../../kernel/index.ts'
import { quoteName, type PostgresPort } from '../lib/postgres.ts'
import { SWEEP, sweepInBatches } from '../lib/sweep.ts'
import type { QueueConsumer } from './consumer.ts'

/** The longest time between looks for jobs whose worker is gone, in milliseconds. */
const LONGEST_LOOK = 2000
const SWEEP_EVERY = 60_000

/**
 * Renews the leases of everything this process holds with one statement, and takes jobs from workers
 * that did not renew theirs.
 */
export function createUpkeep(db: PostgresPort, consumers: ReadonlySet<QueueConsumer>) {
  const s = quoteName(db.schema)
  const every = Math.min(LONGEST_LOOK, db.lease / 4)
  let timer: NodeJS.Timeout | undefined
  let closed = false
  let sweptAt = performance.now()

  /** One statement for all that a queue's consumer holds. */
  async function renew({ name, held }: QueueConsumer): Promise<void> {
    const now = performance.now()
    const due = [...held.values()].filter(({ since }) => now - since >= db.lease / 3)
    if (due.length === 0) return
    const values = [name, due.map(({ uuid }) => uuid), due.map(({ count }) => count), db.lease]
    const text = `SELECT id FROM ${s}.nq_renew($1, $2, $3, $4) AS id`
    const rows = await db.query<{ id: string }>(text, values, { repeatable: true })
    const renewed = new Set(rows.map(({ id }) => id))
    for (const job of due) {
      if (renewed.has(job.uuid)) job.since = now
      else job.lose()
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

  /** Ids that need not be known any more. */
  async function forgetIds(limit: number): Promise<number> {
    const text = `DELETE FROM ${s}.nq_forgotten WHERE (name, id) IN (
      SELECT name, id FROM ${s}.nq_forgotten WHERE until < clock_timestamp() ORDER BY until LIMIT $1) RETURNING 1 AS one`
    return (await db.query(text, [limit], SWEEP)).length
  }

  async function tick(): Promise<void> {
    try {
      // In this order: after an outage nobody should take from himself what he still holds.
      for (const consumer of consumers) await renew(consumer)
      await reclaim()
      if (performance.now() - sweptAt > SWEEP_EVERY) {
        sweptAt = performance.now()
        await db.query(`SELECT ${s}.nq_limit_sweep()`, [], { repeatable: true })
        await sweepInBatches(forgetIds)
      }
    } catch (error) {
      if (!closed) db.reporter.error('Leases could not be looked after; it will be tried again.', error)
    }
    if (!closed) arm()
  }

  function arm(): void {
    timer = setTimeout(() => void tick(), timerDelay(every))
  }

  return {
    start: arm,
    stop(): void {
      closed = true
      clearTimeout(timer)
    },
  }
}
