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

/** Each call may be made twice: it takes nothing twice, and at worst a start more than there was. */
const AGAIN = { repeatable: true }
const PERMITS = `json_to_recordset($1::text::json) AS x (n int, key text, max int, ttl float8, holder text, claim int)`

/**
 * Counters that all instances share; time is the database's. Calls that are made at the same time travel
 * together, in their order for each key, and in the order of keys, so that two such groups never wait
 * for each other.
 */
export function createPostgresLimits(db: PostgresPort): Limits {
  const s = quoteName(db.schema)

  async function send<Answer>(text: string, calls: readonly { key: string }[]): Promise<Answer[]> {
    const numbered = calls.map((call, n) => ({ ...call, n }))
    numbered.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : a.n - b.n))
    const rows = await db.query<{ n: number; answer: Answer }>(text, [JSON.stringify(numbered)], AGAIN)
    const answers: Answer[] = Array.from({ length: calls.length })
    for (const { n, answer } of rows) answers[n] = answer
    return answers
  }

  function grouped<Call extends { key: string }, Answer>(text: string) {
    return createGroupCommit<Call, Answer>({
      commit: (calls) => send<Answer>(text, calls),
      splitOn: mayBeOneMembers,
    })
  }

  const acquires = grouped<Acquire, boolean>(
    `SELECT n, ${s}.nq_permit_acquire(key, max, ttl, holder, claim) AS answer FROM ${PERMITS}`,
  )
  const takes = grouped<Take, number>(
    `SELECT n, ${s}.nq_take(key, max, duration, holder) AS answer
    FROM json_to_recordset($1::text::json) AS x (n int, key text, max int, duration float8, holder text)`,
  )

  return {
    acquire: (key, max, ttl, holder, claim = 1) => acquires.push({ key, max, ttl, holder, claim }),
    async release(key, holder, claim) {
      const text = `SELECT ${s}.nq_permit_release($1, $2, $3) AS next`
      const rows = await db.query<{ next: string }>(text, [key, holder, claim ?? null], AGAIN)
      return rows.map(({ next }) => next)
    },
    async renew(permits, ttl) {
      if (permits.length === 0) return []
      const text = `SELECT n, ${s}.nq_permit_renew(key, max, ttl, holder, claim) AS answer FROM ${PERMITS}`
      const calls = permits.map((permit) => ({ ...permit, ttl }))
      const kept = await send<boolean>(text, calls)
      return permits.filter((_permit, index) => !kept[index])
    },
    async sweep(age) {
      return db.query<HandedPermit>(`SELECT key, holder FROM ${s}.nq_permit_sweep($1)`, [age], AGAIN)
    },
    take: (key, { max, duration }, holder) => takes.push({ key, max, duration, holder: holder ?? null }),
  }
}
