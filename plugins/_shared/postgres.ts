import { QueueError, type Reporter } from '../../kernel/index.ts'

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
  /** Runs one statement, or several without values. Waits while the database is away. */
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

/** @throws QueueError `VALUE_UNSUPPORTED` for a text that PostgreSQL cannot hold */
export function checkText(text: string, what: string): void {
  if (text.isWellFormed() && !text.includes('\0')) return
  const hint = 'PostgreSQL holds no NUL and no half of a surrogate pair.'
  throw new QueueError('VALUE_UNSUPPORTED', `The ${what} ${JSON.stringify(text)} cannot be stored. ${hint}`)
}

/** Classes and codes of errors after which the same statement may succeed on a new connection. */
const AWAY = /^(?:08...|57P0[123]|53300|25006)$/

/** Whether an error tells that the database is away, rather than that it refused a statement. */
export function isAway(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const { code, severity } = error as { code?: unknown; severity?: unknown }
  if (typeof severity === 'string' && typeof code === 'string') return AWAY.test(code)
  if (typeof code === 'string') return /^(?:E[A-Z]+)$/.test(code)
  return /terminated|timeout|closed|ended|not queryable|Connection/i.test(error.message)
}
