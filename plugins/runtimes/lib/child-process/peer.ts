import { isPromise } from '../../../../kernel/index.ts'
import { decodeJson, encodeJson } from '../../../lib/json.ts'
import { RPC, type MessageParams } from './protocol.ts'
import { fromWire, isRecord, RpcError, toWire, type WireError } from './wire-error.ts'

type Id = number | string

export interface PeerOptions {
  /** Sends one line, including its line break. */
  send(line: string): void
  /** Handles a request of the other side. A notification has no `id`, and its result is not sent. */
  call(method: string, params: MessageParams, id?: Id): unknown
  /** Called for a line that is not a message, or that is a response without a request. */
  onInvalid(code: number, message: string): void
  /** Returns the largest size of a message in bytes. Default: no limit. */
  maxMessage?(): number
}

interface Pending {
  resolve(value: unknown): void
  reject(error: Error): void
}

/**
 * Creates one side of a JSON-RPC 2.0 connection, which is client and server at once. It is written here for two
 * reasons: each microsecond of it is added to every job in a reused child, and the two sides handle invalid messages
 * differently.
 */
export function createPeer({ send, call, onInvalid, maxMessage = () => Infinity }: PeerOptions) {
  const pending = new Map<Id, Pending>()
  let lastId = 0
  let ended: Error | undefined

  function request(method: string, params?: object): { id: number; response: Promise<unknown> } {
    const id = ++lastId
    const response = new Promise<unknown>((resolve, reject) => {
      if (ended) return reject(ended)
      const line = encode({ jsonrpc: '2.0', id, method, params })
      pending.set(id, { resolve, reject })
      send(line)
    })
    return { id, response }
  }

  function notify(method: string, params?: object): void {
    if (!ended) send(encode({ jsonrpc: '2.0', method, params }))
  }

  /** @throws RpcError for a message that is too large, or QueueError for a value that cannot be encoded */
  function encode(message: Message): string {
    const line = write(message)
    const limit = maxMessage()
    // A UTF-16 code unit has at most three bytes in UTF-8.
    if (line.length * 3 <= limit) return line
    const size = Buffer.byteLength(line)
    if (size <= limit) return line
    throw new RpcError(RPC.tooLarge, `A message of ${size} bytes is too large. The host accepts ${limit} bytes.`)
  }

  function respond(id: Id, members: { result: unknown } | { error: WireError }): void {
    if (ended) return
    let line: string
    try {
      line = encode({ jsonrpc: '2.0', id, ...members })
    } catch (error) {
      line = write({ jsonrpc: '2.0', id, error: toWire(error) })
    }
    send(line)
  }

  function receive(line: string): void {
    let message: unknown
    try {
      message = decodeJson(line)
    } catch {
      return onInvalid(RPC.parse, `Received a line that is not JSON: ${excerpt(line)}`)
    }
    if (!isRecord(message) || message.jsonrpc !== '2.0') {
      return onInvalid(RPC.invalid, `Received a line that is not a JSON-RPC 2.0 message: ${excerpt(line)}`)
    }
    if (typeof message.method === 'string') serve(message.method, message.params, message.id, line)
    else settle(message, line)
  }

  function serve(method: string, given: unknown, id: unknown, line: string): void {
    const params = given ?? {}
    if (!isRecord(params) || !(id === undefined || isId(id))) {
      return onInvalid(RPC.invalid, `Received a request with invalid "params" or "id": ${excerpt(line)}`)
    }
    const fail = (error: unknown): void => void (id !== undefined && respond(id, { error: toWire(error) }))
    const succeed = (result: unknown): void => void (id !== undefined && respond(id, { result }))
    try {
      const result = call(method, params, id)
      if (isPromise(result)) result.then(succeed, fail)
      else succeed(result)
    } catch (error) {
      fail(error)
    }
  }

  function settle({ id, result, error }: Record<string, unknown>, line: string): void {
    const waiting = isId(id) ? pending.get(id) : undefined
    if (!waiting) return onInvalid(RPC.invalid, `Received a response to an unknown request: ${excerpt(line)}`)
    if (error !== undefined && !isWireError(error)) {
      return onInvalid(RPC.invalid, `Received a response with a malformed "error": ${excerpt(line)}`)
    }
    pending.delete(id as Id)
    if (error === undefined) waiting.resolve(result)
    else waiting.reject(fromWire(error))
  }

  return {
    request,
    notify,
    receive,
    /** Reports a line that is not a valid message to the other side. */
    reportInvalid: (code: number, message: string) =>
      send(write({ jsonrpc: '2.0', id: null, error: { code, message } })),
    /** Rejects all pending and all later requests. */
    end(error: Error): void {
      ended ??= error
      for (const { reject } of pending.values()) reject(ended)
      pending.clear()
    },
  }
}
export type ChildPeer = ReturnType<typeof createPeer>

type Message = { params?: object } & Record<string, unknown>

function write({ params, ...message }: Message): string {
  return `${encodeJson(params === undefined ? message : { ...message, params })}\n`
}

function isId(id: unknown): id is Id {
  return typeof id === 'number' || typeof id === 'string'
}

function isWireError(error: unknown): error is WireError {
  return isRecord(error) && typeof error.code === 'number' && typeof error.message === 'string'
}

function excerpt(line: string): string {
  return line.length > 200 ? `${line.slice(0, 200)}… (${line.length} characters)` : line
}
