import type { ExpirePolicy, StreamHead } from '../../../../kernel/index.ts'
import { quoteName, type PostgresPort } from '../lib/postgres.ts'
import { SWEEP, sweepInBatches } from '../lib/sweep.ts'
import { createDutyCycle } from '../../lib/duty-cycle.ts'
import { BY_OWNER } from './schema.ts'

/**
 * Creates the function that deletes ended runs of users and of the engine. Deletion by age costs only what it deletes.
 * Deletion by number counts the last `keep` runs in an index.
 */
export function createExpirer(db: PostgresPort): (policy: ExpirePolicy) => Promise<number> {
  const s = quoteName(db.schema)
  const dutyCycle = createDutyCycle()

  /** Returns the newest run that exceeds the number of kept runs, as (ended, id). */
  async function lastToDelete(
    { outcome, keep, keepSince = Infinity }: ExpirePolicy,
    whose: string,
  ): Promise<[ended: string, id: string]> {
    if (!Number.isFinite(keep)) return ['-1', '0']
    const text = `SELECT ended, id FROM ${s}.nq_stream WHERE status = $1 AND ended IS NOT NULL AND ${whose}
      ORDER BY status DESC, ended DESC, id DESC OFFSET $2 LIMIT 1`
    const rows = await db.query<{ ended: string; id: string }>(text, [outcome, keep], { repeatable: true })
    if (!rows[0]) return ['-1', '0']
    const { ended, id } = rows[0]
    // Ids begin at 1, so (moment, 0) excludes the runs that ended at that very moment.
    return Number(ended) < keepSince ? [ended, id] : [String(Math.max(0, Math.ceil(keepSince))), '0']
  }

  async function expire(policy: ExpirePolicy, whose: string): Promise<number> {
    const [ended, id] = await lastToDelete(policy, whose)
    const before = Math.max(0, Math.min(Number.MAX_SAFE_INTEGER, Math.ceil(policy.endedBefore)))
    const text = `WITH gone AS (
        DELETE FROM ${s}.nq_stream WHERE id IN (
          SELECT id FROM ${s}.nq_stream WHERE status = $1 AND ended IS NOT NULL AND ${whose}
            AND (ended < $2::bigint OR (ended, id) <= ($3::bigint, $4::bigint))
          ORDER BY status, ended, id LIMIT $5 FOR UPDATE SKIP LOCKED
        ) AND status = $1 RETURNING id
      ), ${withDependents(s)}
      SELECT count(*)::int AS count FROM gone`
    return sweepInBatches(async (limit) => {
      const [row] = await db.query<{ count: number }>(text, [policy.outcome, before, ended, id, limit], SWEEP)
      return row!.count
    })
  }

  return (policy) =>
    dutyCycle.run(
      policy.outcome,
      policy.keep,
      async () => (await expire(policy, BY_OWNER.users)) + (await expire(policy, BY_OWNER.own)),
    )
}

/** Creates the function that deletes streams that are not runs. */
export function createForgetter(db: PostgresPort): (heads: readonly StreamHead[]) => Promise<number> {
  const s = quoteName(db.schema)
  // PostgreSQL checks a row again if an append changed it in the meantime. Its head then differs, and the row stays.
  const text = `WITH gone AS (
      DELETE FROM ${s}.nq_stream t USING unnest($1::text[], $2::int[]) AS h (name, seq)
      WHERE t.name = h.name AND t.head = h.seq AND t.status IS NULL RETURNING t.id
    ), ${withDependents(s)}
    SELECT count(*)::int AS count FROM gone`

  return async (heads) => {
    let from = 0
    let total = 0
    while (from < heads.length) {
      await sweepInBatches(async (limit) => {
        const some = heads.slice(from, from + limit)
        if (some.length === 0) return 0
        const values = [some.map(({ stream }) => stream), some.map(({ seq }) => seq)]
        const [row] = await db.query<{ count: number }>(text, values, SWEEP)
        total += row!.count
        from += some.length
        return some.length
      })
    }
    return total
  }
}

/** Returns the CTEs that delete the rows belonging to the streams of the CTE `gone`. */
function withDependents(s: string): string {
  return `events AS (DELETE FROM ${s}.nq_event_row e USING gone WHERE e.stream = gone.id),
      fences AS (DELETE FROM ${s}.nq_fence f USING gone WHERE f.stream = gone.id),
      snapshots AS (DELETE FROM ${s}.nq_snapshot p USING gone WHERE p.stream = gone.id)`
}
