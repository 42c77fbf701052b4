import { errorOf, QueueClientError } from './error.ts'
import { frameOfSocket, frameOfSse, type Connection } from './frames.ts'
import { createSseParser } from './sse.ts'

/** Reads a stream until it ends; resolves when the server has closed it. @throws QueueClientError */
export type Transport = (connection: Connection) => Promise<void>

/** Server-sent events over `fetch`, which can send headers and tells what the server answers. */
export const readSse: Transport = async (connection) => {
  const response = await open(connection)
  const body = response.body
  if (!body) throw new QueueClientError('NOT_A_STREAM', `${connection.url} answered without a body.`)
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

/** Asks for the stream. @throws QueueClientError for every other answer */
async function open({ url, headers, fetch, signal }: Connection): Promise<Response> {
  const asked = new Headers(typeof headers === 'function' ? await headers() : headers)
  asked.set('accept', 'text/event-stream')
  const response = await fetch(url, { headers: asked, signal, cache: 'no-store' }).catch((cause: unknown) => {
    throw new QueueClientError('UNREACHABLE', `${url} does not answer.`, { cause })
  })
  if (!response.ok) throw await errorOf(response)
  const type = response.headers.get('content-type') ?? 'nothing'
  if (type.startsWith('text/event-stream')) return response
  response.body?.cancel().catch(() => {})
  const hint = 'Is the base URL right?'
  throw new QueueClientError('NOT_A_STREAM', `${url} answered ${type} and no event stream. ${hint}`, {
    status: response.status,
  })
}

/** How many frames of a WebSocket wait while one of them is taken. */
const MAX_WAITING = 1_000

/** Text frames of a WebSocket, one after the other. */
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
    if (full) throw new QueueClientError('INTERRUPTED', `More than ${MAX_WAITING} frames waited to be taken.`)
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
    // Nothing can hold a socket back: whoever does not keep up connects again, and the cursor brings the rest.
    full = waiting.push(String(data)) > MAX_WAITING
    takeAll().catch(over.reject)
    if (full) socket.close()
  })
  socket.addEventListener('close', () => {
    closed = true
    // What has come before the end counts.
    if (opened) takeAll().catch(over.reject)
    else over.reject(new QueueClientError('UNREACHABLE', `${connection.url} takes no WebSocket.`))
  })
  // A `close` follows.
  socket.addEventListener('error', () => {})
  const stop = (): void => over.resolve()
  signal.addEventListener('abort', stop)
  try {
    await over.promise
  } catch (error) {
    // A handshake does not tell why it failed, where the same request by HTTP does.
    if (!opened && !signal.aborted) await explain(connection)
    throw error
  } finally {
    signal.removeEventListener('abort', stop)
    socket.close()
  }
}

async function explain(connection: Connection): Promise<void> {
  const response = await open(connection)
  await response.body?.cancel()
}

function socketUrl(url: string): string {
  const base = (globalThis as { location?: { href: string } }).location?.href
  return new URL(url, base).href.replace(/^http/, 'ws')
}
