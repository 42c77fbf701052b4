import type { Reporter } from '../contracts/index.ts'
import { isError, readMember } from './errors.ts'

const GONE = '***'
/** Names whose values are secrets, in connection strings, headers, settings and commands. */
const SECRET = 'password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key'
const RULES: readonly (readonly [pattern: RegExp, replacement: string])[] = [
  // User and password of a URL. An @ further on belongs to its path.
  [/\b([a-z][a-z0-9+.-]*:\/\/)[^\s/"'`<>]*@/gi, `$1${GONE}@`],
  [
    /\b(authorization|proxy-authorization|cookie)(["']?\s*[:=]\s*["']?)(?:(bearer|basic)\s+)?[^\s"',;]+/gi,
    `$1$2${GONE}`,
  ],
  [/\b(bearer|basic)\s+[\w+/.~=-]{8,}/gi, `$1 ${GONE}`],
  [new RegExp(`\\b([\\w-]*(?:${SECRET}))(["']?\\s*[=:]\\s*)("[^"]*"|'[^']*'|[^\\s"',;&)}\\]]+)`, 'gi'), `$1$2${GONE}`],
  // What Redis is sent to log in: the password, or name and password.
  [/\b(AUTH|requirepass|masterauth)\s+(?:"[^"]*"|\S+)(?:\s+(?:"[^"]*"|\S+))?/g, `$1 ${GONE}`],
]
/** Nothing above is in a text without one of these. */
const SUSPECT = new RegExp(`://[^\\s/]*@|authorization|cookie|bearer|basic|AUTH|requirepass|masterauth|${SECRET}`, 'i')

/** Members in which drivers repeat commands, rows and parameters. */
const REPEATS = ['command', 'detail', 'where', 'internalQuery', 'parameters']
const DEEPEST = 5

/**
 * Returns a text without the credentials in it: those of URLs, of headers, of `password=…` and the like, and of
 * Redis's `AUTH`. What is logged, stored as an error or told over HTTP passes through here.
 *
 * @example
 * redactText('no route to redis://ada:s3cret@host:6379') // no route to redis://***@host:6379
 */
export function redactText(text: string): string {
  if (!SUSPECT.test(text)) return text
  return RULES.reduce((redacted, [pattern, replacement]) => redacted.replace(pattern, replacement), text)
}

/**
 * Returns an error as it may be logged: itself where there is nothing to hide, else a copy of its class without
 * credentials and without the commands and rows that drivers keep in it. Causes and parts likewise.
 */
export function redactError(thrown: unknown, depth = 0): unknown {
  if (typeof thrown === 'string') return redactText(thrown)
  if (!isError(thrown) || depth > DEEPEST) return thrown
  const changed: Record<string, unknown> = {}
  for (const name of ['message', 'stack']) {
    const text = readMember(thrown, name)
    if (typeof text === 'string' && redactText(text) !== text) changed[name] = redactText(text)
  }
  for (const name of REPEATS) if (readMember(thrown, name) !== undefined) changed[name] = undefined
  const cause = readMember(thrown, 'cause')
  const inner = redactError(cause, depth + 1)
  if (inner !== cause) changed.cause = inner
  const errors = readMember(thrown, 'errors')
  const parts = Array.isArray(errors) ? errors.map((part) => redactError(part, depth + 1)) : []
  if (parts.some((part, index) => part !== (errors as unknown[])[index])) changed.errors = parts
  return Object.keys(changed).length === 0 ? thrown : copyWith(thrown, changed)
}

function copyWith(error: Error, changed: Readonly<Record<string, unknown>>): Error {
  const copy = Object.create(Object.getPrototypeOf(error) as object) as Error
  for (const name of Object.getOwnPropertyNames(error)) {
    if (REPEATS.includes(name)) continue
    const value = name in changed ? changed[name] : readMember(error, name)
    Object.defineProperty(copy, name, {
      value,
      enumerable: name !== 'message' && name !== 'stack' && name !== 'cause',
      writable: true,
      configurable: true,
    })
  }
  return copy
}

/** A reporter that hands on nothing with credentials in it. */
export function redactingReporter(reporter: Reporter): Reporter {
  const handOn =
    (level: keyof Reporter) =>
    (message: string, detail?: unknown): void => {
      // A console would print a detail that is not there.
      if (detail === undefined) reporter[level](redactText(message))
      else reporter[level](redactText(message), redactError(detail))
    }
  return { warn: handOn('warn'), error: handOn('error') }
}
