import type { Limits } from '../../kernel/index.ts'
import { quoteName, type PostgresPort } from '../_shared/postgres.ts'

/** Counters that all instances share, one round trip each. Time is the database's. */
export function createPostgresLimits(db: PostgresPort): Limits {
  const s = quoteName(db.schema)
  return {
    async acquire(key, max, ttl, holder) {
      const [row] = await db.query<{ got: boolean }>(`SELECT ${s}.nq_acquire($1, $2, $3, $4) AS got`, [
        key,
        max,
        ttl,
        holder,
      ])
      return row!.got
    },
    async release(key, holder) {
      const rows = await db.query<{ next: string }>(`SELECT ${s}.nq_release($1, $2) AS next`, [key, holder])
      return rows.map(({ next }) => next)
    },
    async take(bucket, { max, duration }, holder) {
      const values = [bucket, max, duration, holder ?? null]
      const [row] = await db.query<{ wait: number }>(`SELECT ${s}.nq_take($1, $2, $3, $4) AS wait`, values)
      return row!.wait
    },
  }
}
