import type { StoredEvent, StreamMessage } from '../../../kernel/index.ts'
import { QueueClientError, type Problem } from './error.ts'
import type { SseFrame } from './sse.ts'

/** A message that is not stored, such as `progress` and `client`. */
export interface EphemeralMessage extends StreamMessage {
  runId: string
}

/** The headers of requests. A function is called before every request, for tokens that expire. */
export type RequestHeaders = PlainHeaders | (() => PlainHeaders | Promise<PlainHeaders>)
type PlainHeaders = Readonly<Record<string, string>>

export type RunEnd = 'completed' | 'failed' | 'cancelled'

/** A frame that a server sends on a stream of any transport. */
export type Frame =
  | { kind: 'event'; id: string | undefined; event: StoredEvent }
  | { kind: 'ephemeral'; message: EphemeralMessage }
  | { kind: 'end'; status: RunEnd }
  | { kind: 'failure'; problem: Problem }
  /** The position in the stream, without an event. */
  | { kind: 'cursor'; id: string }
  | { kind: 'ping' }

/** A connection that reads a stream. */
export interface ClientConnection {
  url: string
  headers: RequestHeaders | undefined
  fetch: typeof fetch
  signal: AbortSignal
  /** Called when the server has accepted the request. */
  onOpen(): void
  /** Called for all data, including heartbeats. */
  onAlive(): void
  /** Called when the server sends the milliseconds to wait before a reconnection. */
  onRetry(ms: number): void
  /** Called for each frame. A returned promise delays the next frame, if the transport supports it. */
  onFrame(frame: Frame): void | Promise<void>
}

export function frameOfSse({ event, data, id }: SseFrame): Frame | undefined {
  if (data === undefined) return id === undefined ? undefined : { kind: 'cursor', id }
  if (event === 'message') return { kind: 'event', id, event: parse(data) as StoredEvent }
  if (event === 'ephemeral') return { kind: 'ephemeral', message: parse(data) as EphemeralMessage }
  if (event === 'end') return { kind: 'end', status: (parse(data) as { status: RunEnd }).status }
  if (event === 'failure') return { kind: 'failure', problem: parse(data) as Problem }
  // A newer server may send other frames.
  return undefined
}

interface SocketFrame {
  kind: string
  id?: string | number
  event: StoredEvent
  status: RunEnd
  problem: Problem
}

export function frameOfSocket(text: string): Frame | undefined {
  const { kind, id, event, status, problem, ...rest } = parse(text) as SocketFrame
  if (kind === 'event') return { kind, id: id === undefined ? undefined : String(id), event }
  if (kind === 'ephemeral') return { kind, message: ('message' in rest ? rest.message : rest) as EphemeralMessage }
  if (kind === 'end') return { kind, status }
  if (kind === 'failure') return { kind, problem }
  if (kind === 'cursor' && id !== undefined) return { kind, id: String(id) }
  return kind === 'ping' ? { kind } : undefined
}

/** Parses JSON. Other text was cut off or comes from a proxy, so the client reconnects. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new QueueClientError('INTERRUPTED', `The stream contains text that is not JSON: ${text.slice(0, 100)}`, {
      cause,
    })
  }
}
