import { isPromise } from '../../../../kernel/index.ts'
import { decodeJson, encodeJson } from '../../../lib/json.ts'
import { RPC, type Params } from './protocol.ts'
import { fromWire, isRecord, RpcError, toWire, type WireError } from './wire-error.ts'

type Id = number | string

export interface PeerOptions {
  /** Sends one line, its end included. */
  send(line: string): void
  /** Carries out what the other side asks for. Without an `id` nobody hears the answer. */
  call(method: string, params: Params, id?: Id): unknown
  /** What came is no message, or answers nothing that was asked. */
  onInvalid(code: number, message: string): void
  /** The most bytes of one message. Default: any. */
  maxMessage?(): number
}

interface Pending {
  resolve(value: unknown): void
  reject(error: Error): void
}

/**
 * One side of a JSON-RPC 2.0 conversation, both client and server. Small and ours, since every
 * microsecond of it is added to each job in a reused child, and since what is to happen with rubbish
 * differs between the sides.
 */
export function createPeer({ send, call, onInvalid, maxMessage = () => Infinity }: PeerOptions) {
  const pending = new Map<Id, Pending>()
  let lastId = 0
  let ended: Error | undefined

  function request(method: string, params?: object): { id: number; answer: Promise<unknown> } {
    const id = ++lastId
    const answer = new Promise<unknown>((resolve, reject) => {
      if (ended) return reject(ended)
      const line = encode({ jsonrpc: '2.0', id, method, params })
      pending.set(id, { resolve, reject })
      send(line)
    })
    return { id, answer }
  }

  function notify(method: string, params?: object): void {
    if (!ended) send(encode({ jsonrpc: '2.0', method, params }))
  }

  /** @throws RpcError for a message beyond the limit, QueueError for a value that cannot travel */
  function encode(message: Message): string {
    const line = write(message)
    const limit = maxMessage()
    // No character has more than three bytes for each unit of its length.
    if (line.length * 3 <= limit) return line
    const size = Buffer.byteLength(line)
    if (size <= limit) return line
    throw new RpcError(RPC.tooLarge, `A message of ${size} bytes is too large: the host takes ${limit}.`)
  }

  function answer(id: Id, members: { result: unknown } | { error: WireError }): void {
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
      return onInvalid(RPC.parse, `A line that is not JSON came: ${excerpt(line)}`)
    }
    if (!isRecord(message) || message.jsonrpc !== '2.0') {
      return onInvalid(RPC.invalid, `A line that is no JSON-RPC 2.0 message came: ${excerpt(line)}`)
    }
    if (typeof message.method === 'string') serve(message.method, message.params, message.id, line)
    else settle(message, line)
  }

  function serve(method: string, given: unknown, id: unknown, line: string): void {
    const params = given ?? {}
    if (!isRecord(params) || !(id === undefined || isId(id))) {
      return onInvalid(RPC.invalid, `A request with wrong params or id came: ${excerpt(line)}`)
    }
    const fail = (error: unknown): void => void (id !== undefined && answer(id, { error: toWire(error) }))
    const succeed = (result: unknown): void => void (id !== undefined && answer(id, { result }))
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
    if (!waiting) return onInvalid(RPC.invalid, `An answer to nothing came: ${excerpt(line)}`)
    if (error !== undefined && !isWireError(error)) {
      return onInvalid(RPC.invalid, `An answer with a malformed error came: ${excerpt(line)}`)
    }
    pending.delete(id as Id)
    if (error === undefined) waiting.resolve(result)
    else waiting.reject(fromWire(error))
  }

  return {
    request,
    notify,
    receive,
    /** Says that a line made no sense. */
    complain: (code: number, message: string) => send(write({ jsonrpc: '2.0', id: null, error: { code, message } })),
    /** Fails what is under way, and whatever is asked from now on. */
    end(error: Error): void {
      ended ??= error
      for (const { reject } of pending.values()) reject(ended)
      pending.clear()
    },
  }
}
export type Peer = ReturnType<typeof createPeer>

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
