import type { HandedPermit, Limits, Permit, RateLimit } from '../../../../kernel/index.ts'
import { createGroupCommit } from '../../lib/group-commit.ts'
import { mayBeOneMembers } from '../lib/failure.ts'
import { quoteName, type PostgresPort } from '../lib/postgres.ts'

interface Acquire extends Permit {
  ttl: number
}

interface Take extends RateLimit {
  key: string
  holder: string | null
}

/** Calls may be repeated. A repeated call takes no second permit. At worst, it counts one start too many. */
const REPEATABLE = { repeatable: true }
const PERMITS = `json_to_recordset($1::text::json) AS x (n int, key text, max int, ttl float8, holder text, claim int)`

/**
 * Creates limits that all instances share. They use the time of the database. Calls that are made at the same time share one
 * statement. They are sorted by key, so that two statements never deadlock, and keep their order for each key.
 */
export function createPostgresLimits(db: PostgresPort): Limits {
  const s = quoteName(db.schema)

  async function send<Result>(text: string, calls: readonly { key: string }[]): Promise<Result[]> {
    const numbered = calls.map((call, n) => ({ ...call, n }))
    numbered.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.n - b.n))
    const rows = await db.query<{ n: number; result: Result }>(text, [JSON.stringify(numbered)], REPEATABLE)
    const results: Result[] = Array.from({ length: calls.length })
    for (const { n, result } of rows) results[n] = result
    return results
  }

  function grouped<Call extends { key: string }, Result>(text: string) {
    return createGroupCommit<Call, Result>({
      commit: (calls) => send<Result>(text, calls),
      splitOn: mayBeOneMembers,
    })
  }

  const acquires = grouped<Acquire, boolean>(
    `SELECT n, ${s}.nq_permit_acquire(key, max, ttl, holder, claim) AS result FROM ${PERMITS}`,
  )
  const takes = grouped<Take, number>(
    `SELECT n, ${s}.nq_take(key, max, duration, holder) AS result
    FROM json_to_recordset($1::text::json) AS x (n int, key text, max int, duration float8, holder text)`,
  )

  return {
    acquire: (key, max, ttl, holder, claim = 1) => acquires.push({ key, max, ttl, holder, claim }),
    async release(key, holder, claim) {
      const text = `SELECT ${s}.nq_permit_release($1, $2, $3) AS next`
      const rows = await db.query<{ next: string }>(text, [key, holder, claim ?? null], REPEATABLE)
      return rows.map(({ next }) => next)
    },
    async renew(permits, ttl) {
      if (permits.length === 0) return []
      const text = `SELECT n, ${s}.nq_permit_renew(key, max, ttl, holder, claim) AS result FROM ${PERMITS}`
      const calls = permits.map((permit) => ({ ...permit, ttl }))
      const kept = await send<boolean>(text, calls)
      return permits.filter((_permit, index) => !kept[index])
    },
    async sweep(age) {
      return db.query<HandedPermit>(`SELECT key, holder FROM ${s}.nq_permit_sweep($1)`, [age], REPEATABLE)
    },
    async takeBack(bucket) {
      // It must not be repeated, because it would take back a second start.
      const text = `WITH locked AS MATERIALIZED (SELECT bucket FROM ${s}.nq_limit_bucket WHERE bucket = $1 FOR UPDATE)
        DELETE FROM ${s}.nq_limit_start WHERE ctid = (
          SELECT t.ctid FROM ${s}.nq_limit_start t JOIN locked USING (bucket)
          WHERE t.holder IS NULL ORDER BY t.at DESC LIMIT 1)`
      await db.query(text, [bucket])
    },
    take: (key, { max, duration }, holder) => takes.push({ key, max, duration, holder: holder ?? null }),
  }
}
