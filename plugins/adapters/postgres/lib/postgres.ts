import { QueueError, type Diagnosis, type Reporter } from '../../../../kernel/index.ts'

/** A row of a result. The type parameter of `query` describes it. */
type SqlRow = Record<string, unknown>

interface SqlQueryOptions {
  /**
   * True if the statement may be sent again after its connection broke, when it is unknown whether the statement ran.
   * Statements that were never sent always wait for the database. Default false.
   */
  repeatable?: boolean
  /** Called before each repetition. The result may then reflect effects of an earlier attempt. */
  onRepeat?: () => void
  /** How often the statement is sent at most if it exceeds its time limit. Default 5. */
  tries?: number
}

/** The database that the postgres plugins share: a server, or PGlite inside this process. */
export interface PostgresPort {
  readonly backend: 'postgres' | 'pglite'
  /** The schema that holds every table. */
  readonly schema: string
  /** Milliseconds without a renewal of the lease after which another worker runs the job. */
  readonly lease: number
  /** Milliseconds between polls, which find jobs and events whose notification was lost. */
  readonly pollInterval: number
  readonly reporter: Reporter
  /**
   * Runs one statement, or several statements without values. Waits while the database is unavailable.
   *
   * @throws QueueError `STORE_UNAVAILABLE`, `STORE_TIMEOUT` or `STORE_REFUSED`
   */
  query<Row extends object = SqlRow>(
    text: string,
    values?: readonly unknown[],
    options?: SqlQueryOptions,
  ): Promise<Row[]>
  /**
   * Listens on a channel. Calls `onNotify` for each notification. Calls `onReconnect` after each reconnection, because
   * notifications may have been missed. Resolves with a function that stops listening.
   */
  listen(channel: string, onNotify: (payload: string) => void, onReconnect: () => void): Promise<() => Promise<void>>
  /** Resolves once every notification that was sent before the call has been delivered. */
  caughtUp(): Promise<void>
  /** Finds settings of the server that lose data, and clocks that differ. Absent for a database inside this process. */
  diagnose?(): Promise<Diagnosis[]>
}

declare module 'nuxt-queue/kernel' {
  interface Ports {
    /** The database that the postgres plugins share. */
    postgres: PostgresPort
  }
}

/** Quotes an identifier for SQL. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** Quotes a string for SQL. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

/** The maximum size of an indexed text in bytes. It leaves room for the other columns of the index. */
const MAX_BYTES = 2500

/** @throws QueueError `VALUE_UNSUPPORTED` if the value is not a string, or a string that PostgreSQL cannot store in an index */
export function checkStorableText(text: unknown, what: string): void {
  if (typeof text !== 'string') throw unsupported(what, typeof text, 'It must be a string.')
  if (text.length > MAX_BYTES / 3 && Buffer.byteLength(text) > MAX_BYTES) {
    throw unsupported(what, `${Buffer.byteLength(text)} bytes`, `PostgreSQL accepts at most ${MAX_BYTES} bytes here.`)
  }
  if (text.isWellFormed() && !text.includes('\0')) return
  throw unsupported(what, JSON.stringify(text), 'PostgreSQL cannot store NUL characters or lone surrogates.')
}

function unsupported(what: string, got: string, hint: string): QueueError {
  return new QueueError('VALUE_UNSUPPORTED', `The ${what} cannot be stored; got ${got}. ${hint}`)
}
