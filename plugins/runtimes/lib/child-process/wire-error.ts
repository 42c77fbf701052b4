import { QueueError, serializeError, toError, type SerializedError } from '../../../../kernel/index.ts'
import { toLoggable } from '../../../lib/loggable.ts'
import { RPC } from './protocol.ts'

/** An error as the protocol carries it. */
export interface WireError {
  code: number
  message: string
  data?: Partial<Omit<SerializedError, 'message'>> & { retryable?: boolean; details?: Record<string, unknown> }
}

/** An error with a number of its own, for what is wrong with a message rather than with a handler. */
export class RpcError extends Error {
  readonly rpc: number

  constructor(rpc: number, message: string, cause?: unknown) {
    super(message, { cause })
    this.rpc = rpc
  }
}

export function toWire(thrown: unknown): WireError {
  const error = toError(thrown)
  // Without its stack, which nobody reads and which costs most: a child may provoke many.
  if (error instanceof RpcError && error.cause === undefined) return { code: error.rpc, message: error.message }
  const { message, ...data } = serializeError(error)
  const { retryable, details } = error as Partial<QueueError>
  if (error instanceof RpcError) return { code: error.rpc, message, ...(data.cause && { data: data.cause }) }
  return {
    code: RPC.failed,
    message,
    data: {
      ...data,
      ...(retryable === false && { retryable }),
      ...(isRecord(details) && { details: toLoggable(details) as Record<string, unknown> }),
    },
  }
}

/** The error as it is thrown on the other side, with the stack of where it arose. */
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

/** How deep the causes of an error that a child sends are read. What is stored of them goes less deep. */
const MAX_DEPTH = 8

function fromStored({ message, ...data }: Partial<SerializedError>, depth: number): Error {
  return fromWire({ code: RPC.failed, message: typeof message === 'string' ? message : '', data }, depth)
}

/** How many of the errors of an `AggregateError` are read. */
const MAX_PARTS = 10

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
