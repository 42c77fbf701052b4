import { Pool } from 'pg'
import { afterAll } from 'vitest'
import { sharedPostgres } from '../services/postgres.ts'

/** One PostgreSQL for a test file, and a schema of its own that is emptied for each test. */
export async function postgresForFile(): Promise<{
  config: { url: string; schema: string; lease: number }
  empty: () => Promise<void>
}> {
  const { url, stop } = await sharedPostgres()
  const schema = `nq_test_${process.pid}_${Date.now().toString(36)}`
  const pool = new Pool({ connectionString: url, max: 1 })
  pool.on('error', () => {})
  afterAll(async () => {
    await pool.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`)
    await pool.end()
    await stop()
  })

  async function empty(): Promise<void> {
    const text = `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
      WHERE schemaname = $1 AND (tablename LIKE 'nq\\_%' AND tablename <> 'nq_migration' OR tablename IN ('job', 'job_common', 'queue'))`
    const { rows } = await pool.query<{ name: string }>(text, [schema])
    if (rows.length > 0) await pool.query(`TRUNCATE ${rows.map(({ name }) => name).join(', ')} CASCADE`)
  }
  return { config: { url, schema, lease: 30_000 }, empty }
}
