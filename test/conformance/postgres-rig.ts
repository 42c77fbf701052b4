import { Pool } from 'pg'
import { afterAll } from 'vitest'
import { definePlugin, type AnyPlugin } from '../../kernel/index.ts'
import { createDatabase, loadPg } from '../../plugins/adapters/postgres/connection/database.ts'
import { createListener } from '../../plugins/adapters/postgres/connection/listener.ts'
import type { PostgresPort } from '../../plugins/adapters/postgres/lib/postgres.ts'
import { sharedPostgres } from '../services/postgres.ts'

/**
 * The statement that empties the tables of a schema. Deleting the rows of a small table is far faster than
 * TRUNCATE, which creates new files. Foreign keys and triggers are disabled meanwhile, because every row is deleted.
 */
const EMPTYING = `SELECT string_agg(format(
    CASE WHEN pg_relation_size(c.oid) > 1000000 THEN 'TRUNCATE %I.%I CASCADE;' ELSE 'DELETE FROM %I.%I;' END,
    nspname, relname), '') AS statements
  FROM pg_namespace n JOIN pg_class c ON relnamespace = n.oid
  WHERE nspname = $1 AND relkind IN ('r', 'p')
    AND (relname LIKE 'nq\\_%' AND relname <> 'nq_migration' OR relname IN ('job', 'job_common', 'queue'))`

type Query = <Row extends object>(sql: string, params?: unknown[]) => Promise<Row[]>

/** Empties the tables of a schema, as a superuser of the database may. */
export async function emptySchema(query: Query, schema: string): Promise<void> {
  const [row] = await query<{ statements: string | null }>(EMPTYING, [schema])
  const statements = row?.statements
  if (!statements) return
  const replica = (role: string): string => `SET session_replication_role = ${role};`
  await query(`${replica('replica')}${statements}${replica('origin')}`)
}

/** Enough connections for calls to meet each other. */
const CONNECTIONS = 2
const LEASE = 30_000

interface PostgresForFile {
  config: { url: string; schema: string; lease: number; pool: { max: number } }
  empty: () => Promise<void>
}

/** One PostgreSQL for a test file, with a separate schema that is emptied before each test. */
export async function postgresForFile(): Promise<PostgresForFile> {
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
  return { config: { url, schema, lease: LEASE, pool: { max: CONNECTIONS } }, empty }
}

/**
 * The plugin `postgres` with connections that stay open from one test to the next. A server needs longer to open one, and
 * to plan the first statements on it, than for all the work of a test. When a kernel closes, its statements end, its
 * listeners are removed, and it receives no more connections.
 */
export async function postgresKeptOpen(): Promise<{ postgres: AnyPlugin; empty: PostgresForFile['empty'] }> {
  const { config, empty } = await postgresForFile()
  const quiet = { warn: () => {}, error: () => {} }
  // As many as a kernel and its sibling would have.
  const connection = { connectionString: config.url, max: 2 * CONNECTIONS }
  const pg = await loadPg()
  const database = createDatabase(pg, connection, quiet)
  const listener = createListener(pg, connection, quiet)
  afterAll(async () => {
    await listener.close()
    await database.close()
  })
  const postgres = definePlugin({
    name: 'postgres',
    setup(kernel) {
      const running = new Set<Promise<unknown>>()
      const leaving = new Set<() => Promise<void>>()
      let closed = false
      function run<T>(call: () => Promise<T>): Promise<T> {
        if (closed) return Promise.reject(new Error('The connections of this kernel are closed.'))
        const result = call()
        running.add(result)
        const ended = (): void => void running.delete(result)
        result.then(ended, ended)
        return result
      }
      const port: PostgresPort = {
        backend: 'postgres',
        ...{ schema: config.schema, lease: LEASE, pollInterval: 5000, reporter: kernel.reporter },
        query: (...statement) => run(() => database.query(...statement)),
        async listen(...channel) {
          const leave = await run(() => listener.listen(...channel))
          leaving.add(leave)
          return leave
        },
        caughtUp: () => run(listener.caughtUp),
      }
      kernel.provide('postgres', port)
      return async () => {
        closed = true
        for (const leave of leaving) await leave()
        await Promise.allSettled(running)
      }
    },
  })
  return { postgres, empty }
}
