import { Pool } from 'pg'
import { afterAll } from 'vitest'
import { sharedPostgres } from '../services/postgres.ts'

/**
 * What empties the tables of a schema that a test fills. A small table is emptied far faster row by row than by
 * TRUNCATE, which makes new files; foreign keys and triggers rest meanwhile, since everything goes.
 */
const EMPTYING = `SELECT string_agg(format(
    CASE WHEN pg_table_size(c.oid) > 1000000 THEN 'TRUNCATE %I.%I CASCADE;' ELSE 'DELETE FROM %I.%I;' END,
    schemaname, tablename), '') AS statements
  FROM pg_tables JOIN pg_class c ON c.oid = format('%I.%I', schemaname, tablename)::regclass
  WHERE schemaname = $1 AND (tablename LIKE 'nq\\_%' AND tablename <> 'nq_migration' OR tablename IN ('job', 'job_common', 'queue'))`

type Query = <Row extends object>(sql: string, params?: unknown[]) => Promise<Row[]>

/** Empties the tables of a schema, as a superuser of the database may. */
export async function emptySchema(query: Query, schema: string): Promise<void> {
  const [row] = await query<{ statements: string | null }>(EMPTYING, [schema])
  const statements = row?.statements
  if (!statements) return
  const replica = (role: string): string => `SET session_replication_role = ${role};`
  await query(`${replica('replica')}${statements}${replica('origin')}`)
}

/**
 * Enough connections for calls to meet each other. Each kernel opens its own, and a server needs longer for the first
 * statements of a connection than for all that a test asks for.
 */
const CONNECTIONS = 2

/** One PostgreSQL for a test file, and a schema of its own that is emptied for each test. */
export async function postgresForFile(): Promise<{
  config: { url: string; schema: string; lease: number; pool: { max: number } }
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

  const query: Query = async (sql, params) => (await pool.query(sql, params)).rows
  const empty = (): Promise<void> => emptySchema(query, schema)
  return { config: { url, schema, lease: 30_000, pool: { max: CONNECTIONS } }, empty }
}
