import type { Diagnosis } from '../../../../kernel/index.ts'
import type { PostgresPort } from '../lib/postgres.ts'

interface Settings {
  version: string
  number: number
  fsync: string
  pages: string
  commits: string
  used: number
  most: number
  /** How long the oldest transaction has been open, in milliseconds. */
  open: number | null
}

/** The oldest supported version, as `server_version_num`. */
const OLDEST_SERVER = 140_000
/** The age at which an open transaction is reported, because it prevents the cleanup of tables, in milliseconds. */
const OLD_TRANSACTION = 600_000
/** The share of used connections above which a new process may not get one. */
const NEARLY_FULL = 0.9

const SETTINGS = `SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number,
  current_setting('fsync') AS fsync, current_setting('full_page_writes') AS pages,
  current_setting('synchronous_commit') AS commits, current_setting('max_connections')::int AS most,
  (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend') AS used,
  (SELECT extract(epoch FROM max(now() - xact_start))::float8 * 1000 FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND datname = current_database()) AS open`

/** Finds settings of PostgreSQL that allow it to lose acknowledged data, and conditions that slow it down. */
export async function diagnoseServer({ query }: Pick<PostgresPort, 'query'>): Promise<Diagnosis[]> {
  const [settings] = await query<Settings>(SETTINGS, [], { repeatable: true })
  const { version, number, fsync, pages, commits, used, most, open } = settings!
  const found: Diagnosis[] = []
  const add = (check: string, level: Diagnosis['level'], message: string, hint: string): void =>
    void found.push({ check: `postgres.${check}`, level, message, hint })

  if (number < OLDEST_SERVER) {
    add('version', 'problem', `The queue plugins need PostgreSQL 14 or later; got ${version}.`, 'Update the server.')
  }
  if (fsync === 'off') {
    add('fsync', 'problem', 'A crash of PostgreSQL may destroy the database (fsync off).', 'Set fsync to on.')
  }
  if (pages === 'off') {
    const message = 'A power failure may destroy tables of PostgreSQL (full_page_writes off).'
    add(
      'full-page-writes',
      'problem',
      message,
      'Set full_page_writes to on, unless the file system writes whole pages.',
    )
  }
  if (commits === 'off') {
    const message = 'PostgreSQL may lose its last jobs and events in a crash (synchronous_commit off).'
    add('synchronous-commit', 'warning', message, 'Set synchronous_commit to on.')
  }
  if (used > NEARLY_FULL * most) {
    const hint = 'Raise max_connections, or lower postgres.pool.max.'
    add('connections', 'warning', `${used} of ${most} connections of PostgreSQL are in use.`, hint)
  }
  if (open !== null && open > OLD_TRANSACTION) {
    const message = `A transaction has been open for ${Math.round(open / 60_000)} minutes, so that ended jobs stay in the tables.`
    add('transactions', 'warning', message, 'Find it in pg_stat_activity, and end it.')
  }
  if (found.length > 0) return found
  return [{ check: 'postgres', level: 'ok', message: `PostgreSQL ${version} keeps all acknowledged data.` }]
}
