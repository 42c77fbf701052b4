import { isError, readMember } from './errors.ts'

const REDACTED = '***'
/** Names whose values are secrets, in connection strings, headers, settings and commands. */
const SECRET = 'password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key'
/*
 * Every pattern runs in linear time for any text. No pattern begins with a repetition, because the engine would try the repetition again
 * from each of its characters.
 */
const RULES: readonly (readonly [pattern: RegExp, replacement: string])[] = [
  // User and password of a URL. A password with slashes makes the URL invalid, so this needs a separate pattern. An @ after the
  // host belongs to the path.
  [/([a-z0-9+.-]:\/\/)[^\s/"'`<>]*@/gi, `$1${REDACTED}@`],
  [/([a-z0-9+.-]:\/\/)[^\s/@:"'`<>[\]]{0,256}:(?!\d+(?:[/?#]|$))[^\s"'`<>]{0,512}@/gi, `$1${REDACTED}@`],
  [
    /\b(authorization|proxy-authorization|cookie)(["']?\s*[:=]\s*["']?)(?:(bearer|basic)\s+)?[^\s"',;]+/gi,
    `$1$2${REDACTED}`,
  ],
  [/\b(bearer|basic)\s+[\w+/.~=-]{8,}/gi, `$1 ${REDACTED}`],
  [new RegExp(`(${SECRET})(["']?\\s*[=:]\\s*)("[^"]*"|'[^']*'|[^\\s"',;&)}\\]]+)`, 'gi'), `$1$2${REDACTED}`],
  // The login of Redis: a password, or a name and a password.
  [/\b(AUTH|requirepass|masterauth)\s+(?:"[^"]*"|\S+)(?:\s+(?:"[^"]*"|\S+))?/g, `$1 ${REDACTED}`],
]
/** A text that does not match this contains no secret. */
const SUSPECT = new RegExp(
  `://\\S{0,800}@|authorization|cookie|bearer|basic|AUTH|requirepass|masterauth|${SECRET}`,
  'i',
)

const SECRET_NAME = new RegExp(`(?:${SECRET})$`, 'i')

/** Members of errors in which drivers repeat commands, rows and parameters. */
const REPEATS: ReadonlySet<string> = new Set(['command', 'detail', 'where', 'internalQuery', 'parameters'])
const MAX_DEPTH = 5

/**
 * Returns a text without its credentials: in URLs, in headers, in settings such as `password=…`, and in the `AUTH` command of Redis. Every
 * log line, stored error and HTTP error passes through it.
 *
 * @example
 * redactText('no route to redis://ada:s3cret@host:6379') // no route to redis://***@host:6379
 */
export function redactText(text: string): string {
  if (!SUSPECT.test(text)) return text
  return RULES.reduce((redacted, [pattern, replacement]) => redacted.replace(pattern, replacement), text)
}

/**
 * Returns an error, or a detail that is logged with one, without credentials. Returns the same object if it contains no credentials.
 * Otherwise returns a copy of the same class, which also lacks the commands and rows that drivers keep in errors. Nested errors and objects
 * are treated in the same way.
 */
export function redactError(thrown: unknown): unknown {
  try {
    return redact(thrown, 0)
  } catch {
    return 'An error that cannot be read.'
  }
}

function redact(thrown: unknown, depth: number): unknown {
  if (typeof thrown === 'string') return redactText(thrown)
  if (!isError(thrown)) return isPlain(thrown) ? redactPlain(thrown, depth) : thrown
  if (depth > MAX_DEPTH) return redactText(String(readMember(thrown, 'message')))
  const changed: Record<string, unknown> = {}
  for (const name of new Set([...Object.getOwnPropertyNames(thrown), 'message', 'stack', 'cause'])) {
    const value = readMember(thrown, name)
    const redacted = REPEATS.has(name) ? undefined : redactMember(name, value, depth)
    if (redacted !== value) changed[name] = redacted
  }
  return Object.keys(changed).length === 0 ? thrown : copyWith(thrown, changed)
}

function redactMember(name: string, value: unknown, depth: number): unknown {
  return typeof value === 'string' && SECRET_NAME.test(name) ? REDACTED : redact(value, depth + 1)
}

/** Redacts a list or a plain object. Returns the same object if it contains no credentials. */
function redactPlain(value: object, depth: number): unknown {
  if (depth > MAX_DEPTH) return '[too deep]'
  const entries = Object.keys(value).map((name) => [name, readMember(value, name)] as const)
  const redacted = entries.map(([name, member]) => [name, redactMember(name, member, depth)] as const)
  if (redacted.every(([, member], index) => member === entries[index]![1])) return value
  return Array.isArray(value) ? redacted.map(([, member]) => member) : Object.fromEntries(redacted)
}

function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === Array.prototype || prototype === null
}

function copyWith(error: Error, changed: Readonly<Record<string, unknown>>): Error {
  const copy = Object.create(Object.getPrototypeOf(error) as object) as Error
  for (const name of new Set([...Object.getOwnPropertyNames(error), ...Object.keys(changed)])) {
    if (REPEATS.has(name)) continue
    Object.defineProperty(copy, name, {
      value: name in changed ? changed[name] : readMember(error, name),
      enumerable: Object.getOwnPropertyDescriptor(error, name)?.enumerable ?? false,
      writable: true,
      configurable: true,
    })
  }
  return copy
}
