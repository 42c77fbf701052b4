import type { SerializedError } from '../contracts/index.ts'
import { cutText, isError, readMember, readText, toError } from './errors.ts'
import { redactText } from './redact.ts'

/** The maximum number of characters of each part, for the error itself and for each nested error. */
const LIMITS = {
  outer: { name: 256, code: 256, message: 8192, stack: 16_384 },
  inner: { name: 256, code: 256, message: 2048, stack: 4096 },
} as const
/** The depth to which causes are stored. */
const MAX_DEPTH = 4
/** How many of the errors of an `AggregateError` are stored. */
const MAX_PARTS = 5
/** The maximum number of errors in one stored error. */
const MAX_ERRORS = 12

/** The errors that have been stored so far, out of an error and its causes. */
type Seen = Set<unknown>

/**
 * Returns an error in the form in which events and job records store it. Accepts anything that was thrown, and never throws.
 * Credentials are removed from names, messages, stacks and codes. Each of these is cut to a limit, with a note that says so. Causes are
 * stored up to four levels deep, each once. For an `AggregateError`, the first five errors are stored, and the message says how many are
 * omitted. The result has at most about 100,000 characters.
 */
export function serializeError(thrown: unknown): SerializedError {
  return serialize(thrown, 0, new Set())
}

function serialize(thrown: unknown, depth: number, seen: Seen): SerializedError {
  const error = isError(thrown) ? thrown : toError(thrown)
  seen.add(thrown)
  const limits = depth === 0 ? LIMITS.outer : LIMITS.inner
  const text = (name: keyof typeof limits): string | undefined => {
    const value = readText(error, name)
    return value === undefined ? undefined : cutText(redactText(value), limits[name])
  }
  const stored: SerializedError = { name: text('name') ?? 'Error', message: text('message') ?? '' }
  if (typeof readMember(error, 'code') === 'string') stored.code = text('code')!
  const stack = text('stack')
  if (stack) stored.stack = stack
  if (depth === MAX_DEPTH) return stored
  const cause = readMember(error, 'cause')
  if (isError(cause) && mayAdd(cause, seen)) stored.cause = serialize(cause, depth + 1, seen)
  const parts = partsOf(error)
  if (parts.length === 0) return stored
  stored.errors = parts
    .slice(0, MAX_PARTS)
    .flatMap((part) => (mayAdd(part, seen) ? [serialize(part, depth + 1, seen)] : []))
  const missing = parts.length - stored.errors.length
  if (missing > 0) stored.message += ` (${missing} of its ${parts.length} errors are omitted)`
  return stored
}

function mayAdd(error: unknown, seen: Seen): boolean {
  return seen.size < MAX_ERRORS && !seen.has(error)
}

function partsOf(error: Error): unknown[] {
  const parts = readMember(error, 'errors')
  try {
    return Array.isArray(parts) ? Array.from<unknown>(parts) : []
  } catch {
    return []
  }
}

/** Returns a stored error as an Error, with its code, stack and causes. */
export function reviveError({ name, message, stack, code, cause, errors }: SerializedError): Error {
  const options = cause && { cause: reviveError(cause) }
  const error = errors ? new AggregateError(errors.map(reviveError), message, options) : new Error(message, options)
  return Object.assign(error, { name, ...(stack && { stack }), ...(code && { code }) })
}
