import { QueueError, serializeError, toError, type SerializedError } from '../../../kernel/index.ts'
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
  const { message, ...data } = serializeError(error)
  const { retryable, details } = error as Partial<QueueError>
  if (error instanceof RpcError) return { code: error.rpc, message, ...(data.cause && { data: data.cause }) }
  return {
    code: RPC.failed,
    message,
    data: { ...data, ...(retryable === false && { retryable }), ...(details && { details }) },
  }
}

/** The error as it is thrown on the other side, with the stack of where it arose. */
export function fromWire({ code, message, data }: WireError): Error {
  if (code === RPC.tooLarge) return new QueueError('PAYLOAD_TOO_LARGE', message)
  const { name, stack, cause, ...facts }: NonNullable<WireError['data']> = isRecord(data) ? data : {}
  const error = new Error(message, isRecord(cause) ? { cause: fromStored(cause) } : {})
  error.name = typeof name === 'string' ? name : 'Error'
  error.stack = typeof stack === 'string' ? stack : `${error.name}: ${message}`
  if (typeof facts.code === 'string') Object.assign(error, { code: facts.code })
  if (facts.retryable === false) Object.assign(error, { retryable: false })
  if (isRecord(facts.details)) Object.assign(error, { details: facts.details })
  return error
}

function fromStored({ message, ...data }: Partial<SerializedError>): Error {
  return fromWire({ code: RPC.failed, message: String(message), data })
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
