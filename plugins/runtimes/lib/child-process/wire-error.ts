import { isUnrecoverable, QueueError, serializeError, toError, type SerializedError } from '../../../../kernel/index.ts'
import { toLoggable } from '../../../lib/loggable.ts'
import { RPC } from './protocol.ts'

/** An error in the format of the protocol. */
export interface WireError {
  code: number
  message: string
  data?: Partial<Omit<SerializedError, 'message'>> & { retryable?: boolean; details?: Record<string, unknown> }
}

/** An error of the protocol itself, such as an invalid message, in contrast to an error of a handler. */
export class RpcError extends Error {
  readonly rpc: number

  constructor(rpc: number, message: string, cause?: unknown) {
    super(message, { cause })
    this.rpc = rpc
  }
}

/** Converts a thrown value to the format of the protocol. */
export function toWire(thrown: unknown): WireError {
  const error = toError(thrown)
  // The stack is omitted, because it is expensive and a child can provoke many of these errors.
  if (error instanceof RpcError && error.cause === undefined) return { code: error.rpc, message: error.message }
  const { message, ...data } = serializeError(error)
  const { details } = error as Partial<QueueError>
  if (error instanceof RpcError) return { code: error.rpc, message, ...(data.cause && { data: data.cause }) }
  return {
    code: RPC.failed,
    message,
    data: {
      ...data,
      ...(isUnrecoverable(error) && { retryable: false }),
      ...(isRecord(details) && { details: toLoggable(details) as Record<string, unknown> }),
    },
  }
}

/** Returns an error of the other side as an `Error` that can be thrown here. It keeps its original stack. */
export function fromWire({ code, message, data }: WireError, depth = 0): Error {
  if (code === RPC.tooLarge) return new QueueError('PAYLOAD_TOO_LARGE', message)
  const { name, stack, cause, errors, ...facts }: NonNullable<WireError['data']> = isRecord(data) ? data : {}
  const inner = (stored: Partial<SerializedError>): Error => fromStored(stored, depth + 1)
  const options = isRecord(cause) && depth < MAX_DEPTH ? { cause: inner(cause) } : {}
  const parts = Array.isArray(errors) && depth < MAX_DEPTH ? errors.slice(0, MAX_PARTS).filter(isRecord).map(inner) : []
  const error = parts.length > 0 ? new AggregateError(parts, message, options) : new Error(message, options)
  error.name = typeof name === 'string' ? name : 'Error'
  error.stack = typeof stack === 'string' ? stack : `${error.name}: ${message}`
  if (typeof facts.code === 'string') Object.assign(error, { code: facts.code })
  if (facts.retryable === false) Object.assign(error, { retryable: false })
  if (isRecord(facts.details)) Object.assign(error, { details: facts.details })
  return error
}

/** How many levels of causes are read from an error of a child. Stored errors have fewer levels. */
const MAX_DEPTH = 8

function fromStored({ message, ...data }: Partial<SerializedError>, depth: number): Error {
  return fromWire({ code: RPC.failed, message: typeof message === 'string' ? message : '', data }, depth)
}

/** How many errors of an `AggregateError` are read. */
const MAX_PARTS = 10

/** Returns whether a value is an object and not an array. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
