import type { CleanPolicy, ExpirePolicy } from '../../../../kernel/index.ts'
import { quoteName, type PostgresPort } from '../lib/postgres.ts'
import { SWEEP, sweepInBatches } from '../lib/sweep.ts'
import { createDutyCycle } from '../../lib/duty-cycle.ts'
import { GIVEN_ID } from './sql-forgotten.ts'
import { STORED_COLUMNS, type StoredJobRow } from './record.ts'

/** SQL condition: true for the engine's own queues, by their names in pg-boss. */
const OWN = `(left(q.name, 1) = '_' OR left(q.name, 4) = 'nq._')`

/**
 * Creates the function that removes ended jobs of all queues. Removal by age costs only what it removes. Removal by number
 * counts the last `keep` jobs in pg-boss's index on (queue, end).
 */
export function createCleaner(
  db: PostgresPort,
  onRemoved: (row: StoredJobRow) => void,
): (policy: CleanPolicy) => Promise<number> {
  const s = quoteName(db.schema)
  const dutyCycle = createDutyCycle()

  /** Returns the moment in microseconds up to which jobs exceed the number to keep, or -1. */
  async function lastToRemove({ outcome, keep, keepSince = Infinity }: ExpirePolicy, whose: string): Promise<number> {
    if (!Number.isFinite(keep)) return -1
    const text = `SELECT extract(epoch FROM e.at)::float8 * 1000000 AS at FROM ${s}.queue q, LATERAL (
        SELECT j.completed_on AS at FROM ${s}.job j WHERE j.name = q.name AND j.state = $1 AND j.completed_on IS NOT NULL
        ORDER BY j.completed_on DESC LIMIT $2::int + 1) e
      WHERE ${whose} ORDER BY e.at DESC OFFSET $2::int LIMIT 1`
    const rows = await db.query<{ at: number }>(text, [outcome, keep], { repeatable: true })
    return rows[0] ? Math.min(rows[0].at, Math.ceil(keepSince * 1000) - 1) : -1
  }

  async function clean(policy: CleanPolicy): Promise<number> {
    const { outcome, endedBefore, rememberFor = 0 } = policy
    const counted = [await lastToRemove(policy, `NOT ${OWN}`), await lastToRemove(policy, OWN)]
    const text = `WITH j AS (DELETE FROM ${s}.job j WHERE (j.name, j.id) IN (
        SELECT e.name, e.id FROM ${s}.queue q, LATERAL (
          SELECT j.name, j.id FROM ${s}.job j WHERE j.name = q.name AND j.state = $1 AND j.completed_on IS NOT NULL
            AND (j.completed_on < to_timestamp($2::float8) OR j.completed_on <=
              'epoch'::timestamptz + CASE WHEN ${OWN} THEN $4::float8 ELSE $3::float8 END * interval '1 microsecond')
          ORDER BY j.completed_on LIMIT $5) e
        LIMIT $5)
      RETURNING j.*, j AS job),
      known AS (INSERT INTO ${s}.nq_forgotten AS f (name, id, run, until)
        SELECT j.name, j.id, j.trace_context #>> '{nq,r}', j.completed_on + $6::float8 * interval '1 ms' FROM j
        WHERE $6::float8 > 0 AND ${GIVEN_ID} AND j.completed_on + $6::float8 * interval '1 ms' > clock_timestamp()
        ON CONFLICT (name, id) DO UPDATE SET run = excluded.run, until = excluded.until)
      SELECT ${STORED_COLUMNS}, CASE WHEN j.trace_context #> '{nq,tags}' IS NOT NULL THEN ${s}.nq_untag(j.job) END AS untagged FROM j`
    const before = Number.isFinite(endedBefore) ? endedBefore / 1000 : endedBefore > 0 ? 4e11 : 0
    return sweepInBatches(async (limit) => {
      const values = [outcome, before, ...counted, limit, rememberFor]
      const rows = await db.query<StoredJobRow>(text, values, SWEEP)
      for (const row of rows) onRemoved(row)
      return rows.length
    })
  }

  return (policy) => dutyCycle.run(policy.outcome, policy.keep, () => clean(policy))
}
