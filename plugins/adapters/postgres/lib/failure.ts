import { isQueueError, QueueError, toError } from '../../../../kernel/index.ts'

/**
 * What a failed statement says of the database:
 *
 * | kind | what | then |
 * |---|---|---|
 * | `away` | the connection broke or is refused; a statement under way may have taken effect | it waits, however long |
 * | `conflict` | given up so that another one goes on; nothing has taken effect | it is sent again, a few times |
 * | `full` | no room on the disk or in memory; nothing has taken effect | it is sent again, for some seconds |
 * | `slow` | it took longer than `statement_timeout` or `query_timeout` | it is sent again, a few times |
 * | `refused` | read-only, or not allowed | it fails at once |
 * | `fault` | the statement itself or what it carries | it fails at once |
 */
export type FailureKind = 'away' | 'conflict' | 'full' | 'slow' | 'refused' | 'fault'

const KINDS: readonly [codes: RegExp, kind: FailureKind][] = [
  [/^(?:08...|57P0[1234]|57P05|53300)$/, 'away'],
  [/^(?:40001|40P01|55P03)$/, 'conflict'],
  [/^53(?:000|100|200|400)$/, 'full'],
  [/^57014$/, 'slow'],
  [/^(?:25006|28...|3D000|42501)$/, 'refused'],
]

/** The code that PostgreSQL gave an error, if it did: five characters. */
export function sqlStateOf(error: unknown): string | undefined {
  const { code, severity } = (error ?? {}) as { code?: unknown; severity?: unknown }
  return typeof severity === 'string' && typeof code === 'string' ? code : undefined
}

export function failureOf(error: unknown): FailureKind {
  if (!(error instanceof Error)) return 'fault'
  const state = sqlStateOf(error)
  if (state !== undefined) return KINDS.find(([codes]) => codes.test(state))?.[1] ?? 'fault'
  const { code } = error as { code?: unknown }
  // Of the operating system, or of Node: ECONNREFUSED, ENOTFOUND, …
  if (typeof code === 'string') return /^E[A-Z_]+$/.test(code) && !code.startsWith('ERR_') ? 'away' : 'fault'
  if (/read timeout/i.test(error.message)) return 'slow'
  return /terminated|timeout|closed|ended|not queryable|Connection/i.test(error.message) ? 'away' : 'fault'
}

/** The statement as errors name it. */
function nameOf(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim()
  return line.length > 120 ? `${line.slice(0, 120)}…` : line
}

/** Numbers and moments out of range, texts that are none, entries too large for an index. */
const UNSTORABLE = /^(?:22003|22008|22021|22P02|22P03|22P05|54000)$/

/** The error that a caller sees: with a code, and with that of the driver as its cause. Other faults stay as they are. */
export function storeError(cause: unknown, text: string, sent: number): unknown {
  const what = `PostgreSQL did not run "${nameOf(text)}"`
  const why = toError(cause).message
  const details = { sqlState: sqlStateOf(cause), sent }
  switch (failureOf(cause)) {
    case 'away': {
      const message = `The connection to PostgreSQL broke under "${nameOf(text)}", which may have taken effect: ${why}`
      return new QueueError('STORE_UNAVAILABLE', message, { cause, details })
    }
    case 'conflict':
    case 'full':
      return new QueueError('STORE_UNAVAILABLE', `${what}, sent ${sent} times: ${why}`, { cause, details })
    case 'slow': {
      const hint = 'Look for what holds its rows, or raise statement_timeout and postgres.pool.query_timeout.'
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
  if (state === '25006') return 'It is read-only: connect to the primary, and see default_transaction_read_only.'
  if (state === '42501')
    return 'Give the user of postgres.url the rights that the README of the plugin "postgres" lists.'
  return 'Check postgres.url or DATABASE_URL.'
}

/** Classes of SQLSTATE: data, constraints, limits of rows and indexes, what triggers raise, internal errors. */
const OWN_FAULT = /^(?:22|23|54|P0|XX)/

/**
 * Whether a statement that carried several members has stored nothing, perhaps for the sake of one of them: then the
 * others are stored without it.
 */
export function mayBeOneMembers(error: unknown): boolean {
  if (isQueueError(error)) {
    // Given up by the server, and not by us while it may still be running.
    return !error.code.startsWith('STORE_') || /^(?:57014|53200)$/.test(sqlStateOf(error.cause) ?? '')
  }
  const state = sqlStateOf(error)
  return state === undefined ? failureOf(error) === 'fault' : OWN_FAULT.test(state)
}
