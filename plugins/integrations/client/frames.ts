import type { StoredEvent, StreamMessage } from '../../../kernel/index.ts'
import { QueueClientError, type Problem } from './error.ts'
import type { SseFrame } from './sse.ts'

/** A message that is stored nowhere, such as `progress` and `client`. */
export interface EphemeralMessage extends StreamMessage {
  runId: string
}

/** A function is asked before every request, for tokens that expire. */
export type RequestHeaders = PlainHeaders | (() => PlainHeaders | Promise<PlainHeaders>)
type PlainHeaders = Readonly<Record<string, string>>

export type RunEnd = 'completed' | 'failed' | 'cancelled'

/** What a server says on a stream, by whatever transport. */
export type Frame =
  | { kind: 'event'; id: string | undefined; event: StoredEvent }
  | { kind: 'ephemeral'; message: EphemeralMessage }
  | { kind: 'end'; status: RunEnd }
  | { kind: 'failure'; problem: Problem }
  /** Where the stream stands, without an event. */
  | { kind: 'cursor'; id: string }
  | { kind: 'ping' }

/** Where a stream is read from. */
export interface Connection {
  url: string
  headers: RequestHeaders | undefined
  fetch: typeof fetch
  signal: AbortSignal
  /** Called once the server has accepted. */
  onOpen(): void
  /** Called for every sign of life. */
  onAlive(): void
  /** Called when the server says how many milliseconds to wait before a reconnection. */
  onRetry(ms: number): void
  /** A promise holds back what comes next, where the transport can. */
  onFrame(frame: Frame): void | Promise<void>
}

export function frameOfSse({ event, data, id }: SseFrame): Frame | undefined {
  if (data === undefined) return id === undefined ? undefined : { kind: 'cursor', id }
  if (event === 'message') return { kind: 'event', id, event: parse(data) as StoredEvent }
  if (event === 'ephemeral') return { kind: 'ephemeral', message: parse(data) as EphemeralMessage }
  if (event === 'end') return { kind: 'end', status: (parse(data) as { status: RunEnd }).status }
  if (event === 'failure') return { kind: 'failure', problem: parse(data) as Problem }
  // What a newer server may say.
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

/** What is no JSON was cut off, or comes from something in between: another connection may do better. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new QueueClientError('INTERRUPTED', `The stream holds something that is no JSON: ${text.slice(0, 100)}`, {
      cause,
    })
  }
}
