import type { JobQuery, JobRecord, JobState } from '../../../../kernel/index.ts'
import { inPages, type JobCopies } from '../../lib/store-copy.ts'
import { quoteName, type PostgresPort } from '../lib/postgres.ts'
import { decodeQueue, encodeQueue, jobUuid } from './names.ts'
import { jobsOfRun } from './of-run.ts'
import { STORED_COLUMNS, storedRecord, type StoredJobRow } from './record.ts'
import { CREATED_AT } from './sql-search.ts'

const conditions = (stored: readonly string[], more = ''): string[] =>
  stored.map((state) => `j.state = '${state}'${more}`)

/** Conditions that together select a state. An index has the jobs of a queue and of a state of pg-boss in the order of their creation. */
const CONDITIONS: Readonly<Record<JobState, readonly string[]>> = {
  waiting: conditions(['created', 'retry'], ' AND j.start_after <= now()'),
  delayed: conditions(['created', 'retry'], ' AND j.start_after > now()'),
  active: conditions(['active']),
  completed: conditions(['completed']),
  failed: conditions(['failed']),
  cancelled: conditions(['cancelled']),
}

/** Creates the functions that read all jobs of a queue in pages, and jobs by their ids. */
export function createJobReader(db: PostgresPort): Pick<JobCopies, 'jobs' | 'getMany'> {
  const s = quoteName(db.schema)

  async function read(queue: string, uuids: readonly string[]): Promise<StoredJobRow[]> {
    const text = `SELECT ${STORED_COLUMNS} FROM ${s}.job j WHERE j.name = $1 AND j.id = ANY ($2::uuid[])`
    return db.query<StoredJobRow>(text, [encodeQueue(queue), uuids], { repeatable: true })
  }

  return {
    async getMany(queue, ids) {
      const rows = await read(queue, [...new Set(ids.map((id) => jobUuid(queue, id)))])
      return rows.map((row) => storedRecord(queue, row))
    },
    async *jobs(queue, states) {
      const where: string[] = []
      for (const state of new Set(states)) {
        const some = CONDITIONS[state]
        where.push(...some)
      }
      const text = `SELECT j.id FROM ${s}.job j WHERE j.name = $1 AND (${where.join(' OR ')}) ORDER BY ${CREATED_AT}, j.created_on`
      const rows = await db.query<{ id: string }>(text, [encodeQueue(queue)], { repeatable: true })
      for (const page of inPages(rows.map(({ id }) => id))) {
        const found = new Map((await read(queue, page)).map((row) => [row.id, row]))
        yield page.flatMap((id) => (found.has(id) ? [storedRecord(queue, found.get(id)!)] : []))
      }
    },
  }
}

/** Creates the function that lists jobs, oldest first. @param queueNames returns all queues, by their names in pg-boss */
export function createJobLister(db: PostgresPort, queueNames: () => Promise<string[]>) {
  const s = quoteName(db.schema)

  return async ({ queue, name, states, runId, limit = 100, offset = 0 }: JobQuery = {}): Promise<JobRecord[]> => {
    const values: unknown[] = [limit, offset]
    const use = (value: unknown): string => `$${values.push(value)}`
    const where = [`j.name NOT LIKE '\\_\\_pgboss\\_\\_%'`]
    if (queue !== undefined) where.push(`j.name = ${use(encodeQueue(queue))}`)
    if (name !== undefined) where.push(`coalesce(j.trace_context #>> '{nq,n}', '') = ${use(name)}`)
    if (runId !== undefined) {
      where.push(jobsOfRun(s, runId, queue === undefined ? await queueNames() : [encodeQueue(queue)], use))
    }
    const from = (more: string): string => `SELECT j.* FROM ${s}.job j WHERE ${[...where, more].join(' AND ')}`
    let jobs = from('true')
    if (states) {
      const isIndexed = queue !== undefined && runId === undefined
      // Reads the oldest jobs of each state from the index. Jobs of one millisecond are sorted below.
      const oldest = isIndexed ? `ORDER BY ${CREATED_AT} FETCH FIRST ($1::bigint + $2::bigint) ROWS WITH TIES` : ''
      const parts: string[] = []
      for (const state of new Set(states)) {
        const some = Object.hasOwn(CONDITIONS, state) ? CONDITIONS[state] : []
        parts.push(...some.map((one) => `(${from(one)} ${oldest})`))
      }
      jobs = parts.join(' UNION ALL ') || from('false')
    }
    const text = `SELECT ${STORED_COLUMNS} FROM (${jobs}) j ORDER BY ${CREATED_AT}, j.created_on LIMIT $1 OFFSET $2`
    const rows = await db.query<StoredJobRow>(text, values, { repeatable: true })
    return rows.map((row) => storedRecord(decodeQueue(row.name), row))
  }
}
