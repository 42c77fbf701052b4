import { inspect, types } from 'node:util'
import type { ErrorCode, QueueErrorFacts } from '../contracts/index.ts'

/** The class of all errors that this package throws. Distinguish errors by `code`. */
export class QueueError extends Error implements QueueErrorFacts {
  override readonly name = 'QueueError'
  readonly code: ErrorCode
  plugin?: string
  hook?: string
  details?: Record<string, unknown>
  retryable?: boolean

  constructor(code: ErrorCode, message: string, { cause, ...facts }: QueueErrorFacts = {}) {
    super(message, { cause })
    this.code = code
    Object.assign(this, facts)
  }
}

/**
 * An error for handlers to throw: the job fails at once, even if attempts are left. Every error with `retryable: false` has this effect, and
 * every error with this name, such as the error of BullMQ.
 *
 * @example
 * throw new UnrecoverableError('There is no such mailbox.')
 */
export class UnrecoverableError extends Error {
  override readonly name: string = 'UnrecoverableError'
  readonly retryable = false
}

/** Whether an error says that a retry cannot succeed. */
export function isUnrecoverable(thrown: unknown): boolean {
  const error = Object(thrown) as object
  return readMember(error, 'retryable') === false || readMember(error, 'name') === 'UnrecoverableError'
}

/** Whether a value is an instance of a class. Returns false for a Proxy that throws when it is examined. */
export function isInstance<T>(value: unknown, type: abstract new (...args: never[]) => T): value is T {
  try {
    return value instanceof type
  } catch {
    return false
  }
}

export function isQueueError(error: unknown, code?: ErrorCode): error is QueueError {
  return isInstance(error, QueueError) && (code === undefined || error.code === code)
}

const FINAL: ReadonlySet<ErrorCode> = new Set([
  'VALUE_UNSUPPORTED',
  'PAYLOAD_TOO_LARGE',
  'VALIDATION_FAILED',
  'OPTION_INVALID',
  'NAME_RESERVED',
  'OPTION_UNSUPPORTED',
  'ENQUEUE_VETOED',
  'EMIT_DROPPED',
  'HOOK_MISUSED',
])

/** Whether an error is a refusal that a retry cannot change. */
export function isFinalRefusal(error: unknown): boolean {
  return isQueueError(error) && FINAL.has(error.code)
}

/** Whether a value is an Error, of this realm or of another. */
export function isError(value: unknown): value is Error {
  return isInstance(value, Error) || types.isNativeError(value)
}

/** Returns an Error for anything that was thrown. Its members are strings or absent, and reading them does not throw. */
export function toError(thrown: unknown): Error {
  if (!isError(thrown)) {
    return new QueueError('HANDLER_FAILED', `A non-Error was thrown: ${describeValue(thrown)}`, { cause: thrown })
  }
  return isSound(thrown) ? thrown : readable(thrown)
}

function isSound(error: Error): boolean {
  if (types.isProxy(error)) return false
  try {
    const { name, message, stack, cause, code, retryable } = error as Error & { code?: unknown; retryable?: unknown }
    void [cause, code, retryable]
    return typeof name === 'string' && typeof message === 'string' && (stack === undefined || typeof stack === 'string')
  } catch {
    return false
  }
}

/** Returns a new error with all members that can be read from another error. */
function readable(error: Error): Error {
  const copy = new Error(readText(error, 'message') ?? '', { cause: readMember(error, 'cause') })
  const code = readMember(error, 'code')
  Object.defineProperty(copy, 'name', { value: readText(error, 'name') ?? 'Error', enumerable: false })
  copy.stack = readText(error, 'stack') ?? `${copy.name}: ${copy.message}`
  if (typeof code === 'string') Object.assign(copy, { code })
  if (readMember(error, 'retryable') === false) Object.assign(copy, { retryable: false })
  return copy
}

/** Returns a member of an object that may be hostile, or `undefined` if reading it throws. */
export function readMember(object: object, name: string): unknown {
  try {
    return (object as Record<string, unknown>)[name]
  } catch {
    return undefined
  }
}

/** Returns a member as text. Shows other values as a debugger does. */
export function readText(object: object, name: string): string | undefined {
  try {
    const value = (object as Record<string, unknown>)[name]
    return value === undefined || typeof value === 'string' ? value : describeValue(value)
  } catch (error) {
    return `(its ${name} cannot be read: ${isError(error) ? describeValue(readMember(error, 'message')) : 'reading it throws'})`
  }
}

const SHOWN = { depth: 2, maxArrayLength: 20, maxStringLength: 1000, customInspect: false } as const

/** Returns any value as a few lines of text. Does not run code of the value, and never throws. */
export function describeValue(value: unknown): string {
  try {
    return cutText(inspect(value, SHOWN), 2000)
  } catch {
    return 'a value that cannot be shown'
  }
}

/** Returns at most `limit` characters of a text, followed by the number of omitted characters. Never splits a surrogate pair. */
export function cutText(text: string, limit: number): string {
  if (text.length <= limit) return text.isWellFormed() ? text : text.toWellFormed()
  return `${text.slice(0, limit).toWellFormed()}… (${text.length - limit} more characters)`
}
