import { QueueError, type Reporter } from '../../../../kernel/index.ts'

/** A row as a driver hands it out; who wrote the query knows its type. */
type SqlRow = Record<string, unknown>

interface SqlQueryOptions {
  /**
   * Whether the statement may be sent again when its connection broke and nobody knows whether it
   * ran. Statements that were never sent always wait for the database. Default false.
   */
  repeatable?: boolean
  /** Called each time before it is sent again: its answer may then tell of what it has done before. */
  onRepeat?: () => void
  /** How often it is sent at most when it takes longer than its time limit. Default 5. */
  tries?: number
}

/** What the plugins over PostgreSQL share, whatever drives it: a server, or one inside this process. */
export interface PostgresPort {
  readonly backend: 'postgres' | 'pglite'
  /** The schema that holds every table. */
  readonly schema: string
  /** Milliseconds after which a job whose worker gave no sign of life runs elsewhere. */
  readonly lease: number
  /** Milliseconds between looks for what no notification told of. */
  readonly pollInterval: number
  readonly reporter: Reporter
  /**
   * Runs one statement, or several without values. Waits while the database is away.
   *
   * @throws QueueError `STORE_UNAVAILABLE`, `STORE_TIMEOUT` or `STORE_REFUSED`
   */
  query<Row extends object = SqlRow>(
    text: string,
    values?: readonly unknown[],
    options?: SqlQueryOptions,
  ): Promise<Row[]>
  /**
   * Calls back for each notification on a channel, and after each time the connection for them was
   * made anew, when some may have been missed. Answers what ends it.
   */
  listen(channel: string, onNotify: (payload: string) => void, onReconnect: () => void): Promise<() => Promise<void>>
  /** Resolves once every notification sent before the call has been handed on. */
  caughtUp(): Promise<void>
}

declare module 'nuxt-queue/kernel' {
  interface Ports {
    /** The database that the plugins over PostgreSQL share. */
    postgres: PostgresPort
  }
}

/** A name as it may stand in SQL. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** A text as it may stand in SQL. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

/** The most bytes of a text that an index takes, whatever stands beside it. */
const MOST_BYTES = 2500

/** @throws QueueError `VALUE_UNSUPPORTED` for what is no text, or one that PostgreSQL cannot hold in an index */
export function checkText(text: unknown, what: string): void {
  if (typeof text !== 'string') throw unsupported(what, typeof text, 'It has to be text.')
  if (text.length > MOST_BYTES / 3 && Buffer.byteLength(text) > MOST_BYTES) {
    throw unsupported(what, `of ${Buffer.byteLength(text)} bytes`, `PostgreSQL takes ${MOST_BYTES} at most.`)
  }
  if (text.isWellFormed() && !text.includes('\0')) return
  throw unsupported(what, JSON.stringify(text), 'PostgreSQL holds no NUL and no half of a surrogate pair.')
}

function unsupported(what: string, got: string, hint: string): QueueError {
  return new QueueError('VALUE_UNSUPPORTED', `The ${what} cannot be stored; got ${got}. ${hint}`)
}
