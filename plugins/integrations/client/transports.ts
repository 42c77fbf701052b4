import { responseError, QueueClientError } from './error.ts'
import { frameOfSocket, frameOfSse, type ClientConnection } from './frames.ts'
import { createSseParser } from './sse.ts'

/** Reads a stream until it ends. Resolves when the server has closed it. @throws QueueClientError */
export type Transport = (connection: ClientConnection) => Promise<void>

/** Reads server-sent events with `fetch`, which can send headers and shows the response of the server. */
export const readSse: Transport = async (connection) => {
  const response = await open(connection)
  const body = response.body
  if (!body) throw new QueueClientError('NOT_A_STREAM', `The response of ${connection.url} has no body.`)
  connection.onOpen()
  const parse = createSseParser()
  const reader = body.getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((cause: unknown) => {
        throw new QueueClientError('INTERRUPTED', 'The stream was cut off.', { cause })
      })
      if (done) return
      connection.onAlive()
      for (const said of parse(value)) {
        if (said.retry !== undefined) connection.onRetry(said.retry)
        const frame = frameOfSse(said)
        const taken = frame && connection.onFrame(frame)
        if (taken) await taken
      }
    }
  } finally {
    reader.cancel().catch(() => {})
  }
}

/** Requests the stream. @throws QueueClientError for every other response */
async function open({ url, headers, fetch, signal }: ClientConnection): Promise<Response> {
  const asked = new Headers(typeof headers === 'function' ? await headers() : headers)
  asked.set('accept', 'text/event-stream')
  const response = await fetch(url, { headers: asked, signal, cache: 'no-store' }).catch((cause: unknown) => {
    throw new QueueClientError('UNREACHABLE', `${url} does not respond.`, { cause })
  })
  if (!response.ok) throw await responseError(response)
  const type = response.headers.get('content-type') ?? 'nothing'
  if (type.startsWith('text/event-stream')) return response
  response.body?.cancel().catch(() => {})
  const hint = 'Check the base URL.'
  throw new QueueClientError('NOT_A_STREAM', `${url} responded with ${type} instead of an event stream. ${hint}`, {
    status: response.status,
  })
}

/** How many frames of a WebSocket may wait while one of them is handled. */
const MAX_WAITING = 1_000

/** Reads the text frames of a WebSocket in order. */
export const readSocket: Transport = async (connection) => {
  const { signal } = connection
  const over = Promise.withResolvers<void>()
  const socket = new WebSocket(socketUrl(connection.url))
  const waiting: string[] = []
  let [taking, full, opened, closed] = [false, false, false, false]

  async function takeAll(): Promise<void> {
    if (taking) return
    taking = true
    for (let text = waiting.shift(); text !== undefined && !signal.aborted; text = waiting.shift()) {
      const frame = frameOfSocket(text)
      const taken = frame && connection.onFrame(frame)
      if (taken) await taken
    }
    taking = false
    if (full) throw new QueueClientError('INTERRUPTED', `More than ${MAX_WAITING} frames were waiting.`)
    if (closed) over.resolve()
  }

  socket.addEventListener('open', () => {
    opened = true
    connection.onOpen()
  })
  socket.addEventListener('message', ({ data }) => {
    if (signal.aborted) return
    connection.onAlive()
    if (full) return
    // A client cannot slow a WebSocket down. A slow client reconnects and continues at its cursor.
    full = waiting.push(String(data)) > MAX_WAITING
    takeAll().catch(over.reject)
    if (full) socket.close()
  })
  socket.addEventListener('close', () => {
    closed = true
    // Frames that arrived before the end are still handled.
    if (opened) takeAll().catch(over.reject)
    else over.reject(new QueueClientError('UNREACHABLE', `${connection.url} does not accept WebSockets.`))
  })
  // A `close` event follows.
  socket.addEventListener('error', () => {})
  const stop = (): void => over.resolve()
  signal.addEventListener('abort', stop)
  try {
    await over.promise
  } catch (error) {
    // A failed handshake gives no reason. The same request over HTTP does.
    if (!opened && !signal.aborted) await explain(connection)
    throw error
  } finally {
    signal.removeEventListener('abort', stop)
    socket.close()
  }
}

async function explain(connection: ClientConnection): Promise<void> {
  const response = await open(connection)
  await response.body?.cancel()
}

function socketUrl(url: string): string {
  const base = (globalThis as { location?: { href: string } }).location?.href
  return new URL(url, base).href.replace(/^http/, 'ws')
}
