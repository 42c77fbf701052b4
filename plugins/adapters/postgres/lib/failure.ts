import { isQueueError, QueueError, toError } from '../../../../kernel/index.ts'

/**
 * The kinds of failure of a statement:
 *
 * | kind | what happened | how it is handled |
 * |---|---|---|
 * | `away` | the connection broke or was refused; a statement in flight may have taken effect | wait for the server, without a limit |
 * | `conflict` | PostgreSQL aborted it in favour of another transaction; nothing took effect | sent again, a few times |
 * | `full` | the disk or the memory is full; nothing took effect | sent again, for some seconds |
 * | `slow` | it took longer than `statement_timeout` or `query_timeout` | sent again, a few times |
 * | `refused` | the server is read-only, or the user lacks the rights | fails immediately |
 * | `fault` | the statement or its values are wrong | fails immediately |
 */
export type FailureKind = 'away' | 'conflict' | 'full' | 'slow' | 'refused' | 'fault'

const KINDS: readonly [codes: RegExp, kind: FailureKind][] = [
  [/^(?:08...|57P0[1234]|57P05|53300)$/, 'away'],
  [/^(?:40001|40P01|55P03)$/, 'conflict'],
  [/^53(?:000|100|200|400)$/, 'full'],
  [/^57014$/, 'slow'],
  [/^(?:25006|28...|3D000|42501)$/, 'refused'],
]

/** Returns the SQLSTATE of an error (five characters), or `undefined` if the error is not from PostgreSQL. */
export function sqlStateOf(error: unknown): string | undefined {
  const { code, severity } = (error ?? {}) as { code?: unknown; severity?: unknown }
  return typeof severity === 'string' && typeof code === 'string' ? code : undefined
}

export function failureOf(error: unknown): FailureKind {
  if (!(error instanceof Error)) return 'fault'
  const state = sqlStateOf(error)
  if (state !== undefined) return KINDS.find(([codes]) => codes.test(state))?.[1] ?? 'fault'
  const { code } = error as { code?: unknown }
  // Codes of the operating system start with E, such as ECONNREFUSED or ENOTFOUND. Codes of Node start with ERR_.
  if (typeof code === 'string') return /^E[A-Z_]+$/.test(code) && !code.startsWith('ERR_') ? 'away' : 'fault'
  if (/read timeout/i.test(error.message)) return 'slow'
  return /terminated|timeout|closed|ended|not queryable|Connection/i.test(error.message) ? 'away' : 'fault'
}

/** Returns the statement as error messages show it. */
function nameOf(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim()
  return line.length > 120 ? `${line.slice(0, 120)}…` : line
}

/** SQLSTATEs of values that cannot be stored: numbers and dates out of range, invalid text, index entries that are too large. */
const UNSTORABLE = /^(?:22003|22008|22021|22P02|22P03|22P05|54000)$/

/** Returns the error for the caller: a `QueueError` whose cause is the error of the driver. Other faults are returned unchanged. */
export function storeError(cause: unknown, text: string, sent: number): unknown {
  const what = `PostgreSQL did not run "${nameOf(text)}"`
  const why = toError(cause).message
  const details = { sqlState: sqlStateOf(cause), sent }
  switch (failureOf(cause)) {
    case 'away': {
      const message = `The connection to PostgreSQL broke during "${nameOf(text)}", which may have taken effect: ${why}`
      return new QueueError('STORE_UNAVAILABLE', message, { cause, details })
    }
    case 'conflict':
    case 'full':
      return new QueueError('STORE_UNAVAILABLE', `${what}, sent ${sent} times: ${why}`, { cause, details })
    case 'slow': {
      const hint = 'Look for locks on its rows, or raise statement_timeout and postgres.pool.query_timeout.'
      return new QueueError('STORE_TIMEOUT', `${what} in time, sent ${sent} times: ${why}. ${hint}`, { cause, details })
    }
    case 'refused':
      return new QueueError('STORE_REFUSED', `${what}: ${why}. ${hintOf(cause)}`, { cause, details })
    default: {
      if (!UNSTORABLE.test(sqlStateOf(cause) ?? '')) return cause
      const message = `PostgreSQL cannot store a value of "${nameOf(text)}": ${why}`
      return new QueueError('VALUE_UNSUPPORTED', message, { cause, details })
    }
  }
}

function hintOf(cause: unknown): string {
  const state = sqlStateOf(cause)
  if (state === '25006')
    return 'The server is read-only: connect to the primary, and check default_transaction_read_only.'
  if (state === '42501')
    return 'Grant the user of postgres.url the rights that the README of the plugin "postgres" lists.'
  return 'Check postgres.url or DATABASE_URL.'
}

/** SQLSTATE classes of errors in the statement's own values: data, constraints, limits of rows and indexes, triggers, internal errors. */
const VALUE_ERRORS = /^(?:22|23|54|P0|XX)/

/**
 * Returns true if a statement for several items stored nothing, and one of the items may be the cause. The other items
 * can then be stored without it.
 */
export function mayBeOneMembers(error: unknown): boolean {
  if (isQueueError(error)) {
    // These codes mean that the server aborted the statement. After a client timeout, it may still be running.
    return !error.code.startsWith('STORE_') || /^(?:57014|53200)$/.test(sqlStateOf(error.cause) ?? '')
  }
  const state = sqlStateOf(error)
  return state === undefined ? failureOf(error) === 'fault' : VALUE_ERRORS.test(state)
}
