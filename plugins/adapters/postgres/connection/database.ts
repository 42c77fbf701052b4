import type { Socket } from 'node:net'
import type { ClientBase, PoolClient, PoolConfig } from 'pg'
import { QueueError, toError, type Reporter } from '../../../../kernel/index.ts'
import { loadPackage } from '../../../lib/optional-package.ts'
import { createOutage } from '../../../lib/outage.ts'
import { failureOf, sqlStateOf, storeError, type FailureKind } from '../lib/failure.ts'
import type { PostgresPort } from '../lib/postgres.ts'
import { within } from '../lib/within.ts'

export type Pg = typeof import('pg')

const FIRST_WAIT = 50
const MAX_WAIT = 2000
/** The maximum number of times that a statement is sent, by kind of failure. */
const TRIES = { conflict: 20, full: 10, slow: 5 }
/** How long to wait for statements in flight when the pool is closed, in milliseconds. */
const CLOSE_TIMEOUT = 2000
const STANDARD_STRINGS = 'SET standard_conforming_strings = on'
/** The message of `pg` if all connections of the pool are busy for `connectionTimeoutMillis`. */
const BUSY = 'timeout exceeded when trying to connect'

/** @throws QueueError `PACKAGE_MISSING` if a package is missing. The message says what to install */
export async function loadPg(): Promise<Pg> {
  const load = (): Promise<unknown> => import('pg')
  const loaded = (await loadPackage(load, 'The plugin "postgres"', 'pg pg-boss')) as Pg & { default?: Pg }
  return loaded.default ?? loaded
}

interface Database {
  query: PostgresPort['query']
  /** @throws QueueError `STORE_UNAVAILABLE` if the server cannot be reached, `STORE_REFUSED` if it is read-only */
  reach(): Promise<void>
  /** Rejects waiting statements and closes all connections. Resolves within two seconds, even if the server is unavailable. */
  close(): Promise<void>
}

/**
 * Creates the connection pool. While the server is unavailable, statements wait. The pool reports once that the server is
 * unavailable, and once that it is back.
 */
export function createDatabase({ Pool }: Pg, config: PoolConfig, reporter: Reporter): Database {
  async function prepareConnection(client: ClientBase): Promise<void> {
    await config.onConnect?.(client)
    if (escaping) await client.query(STANDARD_STRINGS)
  }

  /** True if this server treats backslashes in strings as escapes by default. Statements of pg-boss contain backslashes. */
  let escaping = false
  const pool = new Pool({
    application_name: 'nuxt-queue',
    max: 10,
    connectionTimeoutMillis: 5000,
    // Without a limit, a statement that was lost in a broken network would block its caller forever.
    query_timeout: 60_000,
    keepAlive: true,
    ...config,
    // The types of `pg` do not allow an async function here, but the pool awaits it.
    ...({ onConnect: prepareConnection } as object),
  })
  const closing = new AbortController()
  const outage = createOutage('PostgreSQL', reporter)
  /** Clients with an open connection. */
  const clients = new Set<PoolClient>()

  // The pool replaces a broken idle connection when it is needed, so its errors are ignored here.
  pool.on('error', () => {})
  pool.on('connect', (client) => {
    clients.add(client)
    client.on('error', () => {})
  })
  pool.on('remove', (client) => clients.delete(client))

  /** Waits for a connection, however long the server is unavailable. */
  async function connect(text: string): Promise<PoolClient> {
    for (let wait = FIRST_WAIT; ; wait = Math.min(2 * wait, MAX_WAIT)) {
      try {
        return await pool.connect()
      } catch (error) {
        if (closing.signal.aborted) throw closed(text, error)
        if (error instanceof Error && error.message === BUSY) continue
        if (failureOf(error) !== 'away') throw storeError(error, text, 0)
        outage.failed(error)
        await sleep(wait * (0.5 + Math.random()))
        if (closing.signal.aborted) throw closed(text, error)
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
    { repeatable = false, onRepeat, tries = TRIES.slow }: Parameters<PostgresPort['query']>[2] = {},
  ): Promise<Row[]> => {
    let wait = FIRST_WAIT
    for (let sent = 1; ; sent++) {
      const client = await connect(text)
      try {
        const result = (await client.query(text, values as unknown[])) as { rows: Row[] } | { rows: Row[] }[]
        client.release()
        outage.worked()
        return Array.isArray(result) ? result.flatMap(({ rows }) => rows ?? []) : result.rows
      } catch (error) {
        const kind = failureOf(error)
        const answered = sqlStateOf(error) !== undefined && kind !== 'away'
        // Do not reuse the connection if several statements may have left a transaction open, or if it leads to a replica.
        client.release(answered && values && kind !== 'refused' ? undefined : toError(error))
        if (answered) outage.worked()
        const again = mayRepeat(kind, sent, { answered, repeatable, tries })
        if (!again || closing.signal.aborted) throw storeError(error, text, sent)
        if (kind === 'away') outage.failed(error)
        await sleep(kind === 'away' ? FIRST_WAIT : wait * (0.5 + Math.random()))
        wait = Math.min(2 * wait, MAX_WAIT)
        if (!answered) onRepeat?.()
      }
    }
  }

  /** Closes all connections. Does not wait for a server that does not respond. */
  async function close(): Promise<void> {
    closing.abort()
    const ended = await within(CLOSE_TIMEOUT, pool.end())
    for (const client of clients) dropConnection(client, ended ? CLOSE_TIMEOUT : 0)
  }

  return {
    query,
    async reach(): Promise<void> {
      const [row] = await reachable()
      if (row?.writable !== false) return
      const message = 'PostgreSQL is read-only or a replica.'
      throw new QueueError('STORE_REFUSED', `${message} Set postgres.url or DATABASE_URL to the primary.`)
    },
    close,
  }

  async function reachable(): Promise<{ writable: boolean }[]> {
    try {
      const client = await pool.connect()
      try {
        const text = `SELECT current_setting('transaction_read_only') = 'off' AS writable,
          current_setting('standard_conforming_strings') = 'off' AS escaping`
        const { rows } = await client.query<{ writable: boolean; escaping: boolean }>(text)
        escaping = rows[0]!.escaping
        if (escaping) await client.query(STANDARD_STRINGS)
        return rows
      } finally {
        client.release()
      }
    } catch (cause) {
      const message = `PostgreSQL cannot be reached: ${toError(cause).message || 'no response'}.`
      throw new QueueError('STORE_UNAVAILABLE', `${message} Check postgres.url or DATABASE_URL.`, { cause })
    }
  }
}

/**
 * Destroys the connection of a client if the server has not closed it after `ms` milliseconds. Meanwhile the connection does
 * not keep the process alive.
 */
export function dropConnection(client: object, ms: number): void {
  const { connection } = client as { connection?: { stream: Socket } }
  connection?.stream.unref()
  setTimeout(() => connection?.stream.destroy(), ms).unref()
}

/** Returns true if a statement may be sent again. A statement that the server answered with an error has not taken effect. */
function mayRepeat(
  kind: FailureKind,
  sent: number,
  { answered, repeatable, tries }: { answered: boolean; repeatable: boolean; tries: number },
): boolean {
  if (!answered && !repeatable) return false
  if (kind === 'away') return true
  if (kind === 'slow') return sent < tries
  return (kind === 'conflict' || kind === 'full') && sent < TRIES[kind]
}

function closed(text: string, cause: unknown): unknown {
  const error = storeError(cause, text, 0)
  const message = 'PostgreSQL is unavailable, and the connection is being closed. The statement was not sent.'
  return error === cause ? new QueueError('STORE_UNAVAILABLE', message, { cause }) : error
}
