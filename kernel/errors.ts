import { inspect, types } from 'node:util'
import type { ErrorCode, QueueErrorFacts } from '../contracts/index.ts'

/** The only error class of this package: tell errors apart by `code`. */
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

/** Whether a value is an instance of a class. A Proxy may throw where it is asked; then it is none. */
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
  'HOOK_INVALID',
])

/** A refusal to store something that will be the same next time. */
export function isFinalRefusal(error: unknown): boolean {
  return isQueueError(error) && FINAL.has(error.code)
}

/** An error of this realm or of another. */
export function isError(value: unknown): value is Error {
  return isInstance(value, Error) || types.isNativeError(value)
}

/**
 * Makes an Error of whatever was thrown, so that later code can rely on one: its members are text or
 * absent, and reading them does not throw.
 */
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

/** An error with what can be read of another one. */
function readable(error: Error): Error {
  const copy = new Error(readText(error, 'message') ?? '', { cause: readMember(error, 'cause') })
  const code = readMember(error, 'code')
  Object.defineProperty(copy, 'name', { value: readText(error, 'name') ?? 'Error', enumerable: false })
  copy.stack = readText(error, 'stack') ?? `${copy.name}: ${copy.message}`
  if (typeof code === 'string') Object.assign(copy, { code })
  if (readMember(error, 'retryable') === false) Object.assign(copy, { retryable: false })
  return copy
}

/** A member of something that may be hostile; `undefined` where reading it throws. */
export function readMember(object: object, name: string): unknown {
  try {
    return (object as Record<string, unknown>)[name]
  } catch {
    return undefined
  }
}

/** A member as text: what is no text is shown as a debugger would. */
export function readText(object: object, name: string): string | undefined {
  try {
    const value = (object as Record<string, unknown>)[name]
    return value === undefined || typeof value === 'string' ? value : describeValue(value)
  } catch (error) {
    return `(its ${name} cannot be read: ${isError(error) ? describeValue(readMember(error, 'message')) : 'reading it throws'})`
  }
}

const SHOWN = { depth: 2, maxArrayLength: 20, maxStringLength: 1000, customInspect: false } as const

/** Any value on a few lines. Runs no code of its own, and never throws. */
export function describeValue(value: unknown): string {
  try {
    return cutText(inspect(value, SHOWN), 2000)
  } catch {
    return 'a value that cannot be shown'
  }
}

/** Text of at most `limit` characters, and how many are missing; without halves of surrogate pairs. */
export function cutText(text: string, limit: number): string {
  if (text.length <= limit) return text.isWellFormed() ? text : text.toWellFormed()
  return `${text.slice(0, limit).toWellFormed()}… (${text.length - limit} more characters)`
}
