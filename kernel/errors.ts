import { inspect } from 'node:util'
import type { ErrorCode, QueueErrorFacts, SerializedError } from '../contracts/index.ts'

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

export function isQueueError(error: unknown, code?: ErrorCode): error is QueueError {
  return error instanceof QueueError && (code === undefined || error.code === code)
}

/** Makes an Error of whatever was thrown, so that later code can rely on one. */
export function toError(thrown: unknown): Error {
  if (thrown instanceof Error) return thrown
  return new QueueError('HANDLER_FAILED', `A non-Error was thrown: ${inspect(thrown)}`, { cause: thrown })
}

/** The error as it is stored in events and job records; causes up to four deep. */
export function serializeError(thrown: unknown, depth = 0): SerializedError {
  const { name, message, code, stack, cause } = toError(thrown) as Error & { code?: unknown }
  const stored: SerializedError = { name, message }
  if (typeof code === 'string') stored.code = code
  if (stack) stored.stack = stack
  if (depth < 4 && cause instanceof Error) stored.cause = serializeError(cause, depth + 1)
  return stored
}
