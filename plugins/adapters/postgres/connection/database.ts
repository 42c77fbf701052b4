import type { Socket } from 'node:net'
import type { ClientBase, PoolClient, PoolConfig } from 'pg'
import { QueueError, toError, type Reporter } from '../../../../kernel/index.ts'
import { createOutage } from '../../../lib/outage.ts'
import { failureOf, sqlStateOf, storeError, type FailureKind } from '../lib/failure.ts'
import type { PostgresPort } from '../lib/postgres.ts'
import { within } from '../lib/within.ts'

export type Pg = typeof import('pg')

const FIRST_WAIT = 50
const LONGEST_WAIT = 2000
/** How often a statement is sent at most that was given up, or found no room. */
const TRIES = { conflict: 20, full: 10, slow: 5 }
/** How long to wait for answers that are under way when everything ends, in milliseconds. */
const LAST_WAIT = 2000
const PLAIN_TEXTS = 'SET standard_conforming_strings = on'
/** What `pg` says when all connections of the pool are busy for `connectionTimeoutMillis`. */
const BUSY = 'timeout exceeded when trying to connect'

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
  /** @throws QueueError `PLUGIN_SETUP_FAILED` when the server cannot be reached, `STORE_REFUSED` when it is read-only */
  reach(): Promise<void>
  /** Gives up what waits; resolves within two seconds, also while the server is away. */
  close(): Promise<void>
}

/** One pool that waits while the server is away, and reports once that it is, and once that it is back. */
export function createDatabase({ Pool }: Pg, config: PoolConfig, reporter: Reporter): Database {
  async function prepareConnection(client: ClientBase): Promise<void> {
    await config.onConnect?.(client)
    if (escaping) await client.query(PLAIN_TEXTS)
  }

  /** Whether backslashes in texts are escapes on this server unless a session says otherwise; pg-boss has some. */
  let escaping = false
  const pool = new Pool({
    application_name: 'nuxt-queue',
    max: 10,
    connectionTimeoutMillis: 5000,
    // A statement that a broken network swallowed would otherwise hold its caller for ever.
    query_timeout: 60_000,
    keepAlive: true,
    ...config,
    // Typed as if the pool did not wait for it.
    ...({ onConnect: prepareConnection } as object),
  })
  const closing = new AbortController()
  const outage = createOutage('PostgreSQL', reporter)
  /** Those whose connection has not ended. */
  const clients = new Set<PoolClient>()

  // A connection that breaks is replaced when it is needed: an idle one, or one whose last answer has just come.
  pool.on('error', () => {})
  pool.on('connect', (client) => {
    clients.add(client)
    client.on('error', () => {})
  })
  pool.on('remove', (client) => clients.delete(client))

  /** Waits for a connection, however long the server is away. */
  async function connect(text: string): Promise<PoolClient> {
    for (let wait = FIRST_WAIT; ; wait = Math.min(2 * wait, LONGEST_WAIT)) {
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
        // Several statements may have left a transaction open, and a replica stays one: nobody gets that connection again.
        client.release(answered && values && kind !== 'refused' ? undefined : toError(error))
        if (answered) outage.worked()
        const again = mayRepeat(kind, sent, { answered, repeatable, tries })
        if (!again || closing.signal.aborted) throw storeError(error, text, sent)
        if (kind === 'away') outage.failed(error)
        await sleep(kind === 'away' ? FIRST_WAIT : wait * (0.5 + Math.random()))
        wait = Math.min(2 * wait, LONGEST_WAIT)
        if (!answered) onRepeat?.()
      }
    }
  }

  /** Ends all connections; a server that does not answer is not waited for. */
  async function close(): Promise<void> {
    closing.abort()
    const ended = await within(LAST_WAIT, pool.end())
    for (const client of clients) dropConnection(client, ended ? LAST_WAIT : 0)
  }

  return {
    query,
    async reach(): Promise<void> {
      const [row] = await reachable()
      if (row?.writable !== false) return
      const message = 'PostgreSQL is read-only, or a replica.'
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
        if (escaping) await client.query(PLAIN_TEXTS)
        return rows
      } finally {
        client.release()
      }
    } catch (cause) {
      const message = `PostgreSQL cannot be reached: ${toError(cause).message || 'no answer'}.`
      throw new QueueError('PLUGIN_SETUP_FAILED', `${message} Check postgres.url or DATABASE_URL.`, { cause })
    }
  }
}

/** Breaks the connection of a client whose server has not ended it after so many milliseconds; until then it keeps no process. */
export function dropConnection(client: object, ms: number): void {
  const { connection } = client as { connection?: { stream: Socket } }
  connection?.stream.unref()
  setTimeout(() => connection?.stream.destroy(), ms).unref()
}

/** Whether a statement is sent again. What the server has answered with an error has not taken effect. */
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
  const message = 'PostgreSQL is away, and its connection is being closed.'
  return error === cause ? new QueueError('STORE_UNAVAILABLE', message, { cause }) : error
}
