import type { Limits, RateLimit } from '../../kernel/index.ts'
import { createGroupCommit } from '../_shared/group-commit.ts'
import { mayBeOneMembers } from '../_shared/postgres-failure.ts'
import { quoteName, type PostgresPort } from '../_shared/postgres.ts'

interface Acquire {
  key: string
  max: number
  ttl: number
  holder: string
}

interface Take extends RateLimit {
  key: string
  holder: string | null
}

/**
 * Counters that all instances share; time is the database's. Calls that are made at the same time travel
 * together, in their order for each key, and in the order of keys, so that two such groups never wait
 * for each other.
 */
export function createPostgresLimits(db: PostgresPort): Limits {
  const s = quoteName(db.schema)

  function grouped<Call extends { key: string }, Answer>(text: string) {
    return createGroupCommit<Call, Answer>({
      async commit(calls) {
        const numbered = calls.map((call, n) => ({ ...call, n }))
        numbered.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.n - b.n))
        const rows = await db.query<{ n: number; answer: Answer }>(text, [JSON.stringify(numbered)])
        const answers: Answer[] = Array.from({ length: calls.length })
        for (const { n, answer } of rows) answers[n] = answer
        return answers
      },
      splitOn: mayBeOneMembers,
    })
  }

  const acquires = grouped<Acquire, boolean>(
    `SELECT n, ${s}.nq_acquire(key, max, ttl, holder) AS answer
    FROM json_to_recordset($1::text::json) AS x (n int, key text, max int, ttl float8, holder text)`,
  )
  const takes = grouped<Take, number>(
    `SELECT n, ${s}.nq_take(key, max, duration, holder) AS answer
    FROM json_to_recordset($1::text::json) AS x (n int, key text, max int, duration float8, holder text)`,
  )

  return {
    acquire: (key, max, ttl, holder) => acquires.push({ key, max, ttl, holder }),
    async release(key, holder) {
      const rows = await db.query<{ next: string }>(`SELECT ${s}.nq_release($1, $2) AS next`, [key, holder])
      return rows.map(({ next }) => next)
    },
    take: (key, { max, duration }, holder) => takes.push({ key, max, duration, holder: holder ?? null }),
  }
}
