import type { PoolClient, PoolConfig } from 'pg'
import { QueueError, toError, type Reporter } from '../../kernel/index.ts'
import { isAway, type PostgresPort } from '../_shared/postgres.ts'

export type Pg = typeof import('pg')

const FIRST_WAIT = 50
const LONGEST_WAIT = 2000

/** @throws QueueError `PLUGIN_SETUP_FAILED` that says what to install */
export async function loadPg(): Promise<Pg> {
  try {
    const loaded = (await import('pg')) as Pg & { default?: Pg }
    return loaded.default ?? loaded
  } catch (cause) {
    const message = 'The PostgreSQL adapter needs the packages "pg" and "pg-boss". Run: npm install pg pg-boss'
    throw new QueueError('PLUGIN_SETUP_FAILED', message, { cause })
  }
}

interface Database {
  query: PostgresPort['query']
  /** @throws QueueError `PLUGIN_SETUP_FAILED` when the server cannot be reached */
  reach(): Promise<void>
  close(): Promise<void>
}

/** One pool that waits while the server is away, and tells once that it is, and once that it is back. */
export function createDatabase({ Pool }: Pg, config: PoolConfig, reporter: Reporter): Database {
  const pool = new Pool({
    application_name: 'nuxt-queue',
    max: 10,
    connectionTimeoutMillis: 5000,
    // A statement that a broken network swallowed would otherwise hold its caller for ever.
    query_timeout: 60_000,
    keepAlive: true,
    ...config,
  })
  const closing = new AbortController()
  let away = false

  // A connection that breaks is replaced when it is needed: an idle one, or one whose last answer has just come.
  pool.on('error', () => {})
  pool.on('connect', (client) => client.on('error', () => {}))

  function tell(error: unknown): void {
    if (away || closing.signal.aborted) return
    away = true
    reporter.warn('PostgreSQL is away; everything waits until it is back.', error)
  }

  /** Waits for a connection, however long the server is away. */
  async function connect(): Promise<PoolClient> {
    for (let wait = FIRST_WAIT; ; wait = Math.min(2 * wait, LONGEST_WAIT)) {
      try {
        const client = await pool.connect()
        if (away) reporter.warn('PostgreSQL is back.')
        away = false
        return client
      } catch (error) {
        if (closing.signal.aborted || !isAway(error)) throw error
        tell(error)
        await sleep(wait * (0.5 + Math.random()))
        if (closing.signal.aborted) throw error
      }
    }
  }

  function sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(done, ms)
      function done(): void {
        clearTimeout(timer)
        closing.signal.removeEventListener('abort', done)
        resolve()
      }
      closing.signal.addEventListener('abort', done)
    })
  }

  const query: PostgresPort['query'] = async <Row extends object>(
    text: string,
    values?: readonly unknown[],
    { repeatable = false, onRepeat }: { repeatable?: boolean; onRepeat?: () => void } = {},
  ): Promise<Row[]> => {
    for (;;) {
      const client = await connect()
      try {
        const result = (await client.query(text, values as unknown[])) as { rows: Row[] } | { rows: Row[] }[]
        client.release()
        return Array.isArray(result) ? result.flatMap(({ rows }) => rows ?? []) : result.rows
      } catch (error) {
        // Its transaction may be open, or it may be gone: nobody gets this connection again.
        client.release(toError(error))
        if (!repeatable || closing.signal.aborted) throw error
        // Nothing of it has taken effect, and who it stood in the way of goes on.
        if (isDeadlock(error)) continue
        if (!isAway(error)) throw error
        tell(error)
        await sleep(FIRST_WAIT)
        onRepeat?.()
      }
    }
  }

  return {
    query,
    async reach(): Promise<void> {
      try {
        const client = await pool.connect()
        client.release()
      } catch (cause) {
        const message = `PostgreSQL cannot be reached: ${toError(cause).message || 'no answer'}.`
        throw new QueueError('PLUGIN_SETUP_FAILED', `${message} Check postgres.url or DATABASE_URL.`, { cause })
      }
    },
    async close(): Promise<void> {
      closing.abort()
      await pool.end()
    },
  }
}

/** Whether a statement was given up, whole, so that another one could go on. */
function isDeadlock(error: unknown): boolean {
  return error instanceof Error && (error as { code?: unknown }).code === '40P01'
}
