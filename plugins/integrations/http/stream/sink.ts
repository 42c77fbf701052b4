import type { ServerResponse } from 'node:http'

/** Why a stream ends: its source ended, its client was too slow, or this process closes. */
export type StreamEndReason = 'end' | 'slow' | 'closing'

/** Writes frames to a client. */
export interface Sink {
  write(frame: string | Buffer): void
  /** How many written bytes the client has not read. */
  readonly pending: number
  /** Calls back when the client has read everything, or has disconnected. */
  onDrained(callback: () => void): void
  /** Ends the stream. Frames that were written before are still sent if the client reads them. */
  end(reason: StreamEndReason): void
  /** Disconnects a client that reads nothing. */
  destroy(): void
  /** Calls back once when the client has disconnected for any reason. */
  onClose(callback: () => void): void
}

export const SSE_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  // Proxies such as nginx would otherwise buffer events.
  'x-accel-buffering': 'no',
}

/** Writes directly to Node's response, without the buffers of a web stream, so that the backlog is known. */
export function createNodeSink(response: ServerResponse, headers: Record<string, string>): Sink {
  response.writeHead(200, { ...headers, ...SSE_HEADERS })
  response.on('error', () => response.destroy())
  return {
    write: (frame) => void response.write(frame),
    get pending() {
      return response.writableLength
    },
    onDrained(callback) {
      const drained = (): void => {
        response.off('drain', drained)
        response.off('close', drained)
        callback()
      }
      response.on('drain', drained)
      response.on('close', drained)
    },
    end: () => void response.end(),
    destroy: () => void response.destroy(),
    onClose(callback) {
      if (response.closed || response.destroyed) callback()
      else response.once('close', callback)
    },
  }
}

/** Writes to the stream of a Response, for servers that need one. The server pulls the frames. */
export function createWebSink(
  headers: Record<string, string>,
  signal: AbortSignal,
): { sink: Sink; response: Response } {
  let controller!: ReadableStreamDefaultController<Uint8Array>
  let queue: Buffer[] = []
  let pending = 0
  let asked = false
  let ending = false
  let closed = false
  let drained: (() => void)[] = []
  const gone = Promise.withResolvers<void>()

  function close(): void {
    closed = true
    queue = []
    pending = 0
    settle()
    gone.resolve()
  }

  function settle(): void {
    const callbacks = drained
    drained = []
    for (const callback of callbacks) callback()
  }

  function finish(): void {
    controller.close()
    close()
  }

  /** Passes frames on only while the stream is open and the server has asked for them. */
  function hand(): void {
    if (closed || !asked) return
    if (pending > 0) {
      asked = false
      controller.enqueue(Buffer.concat(queue))
      queue = []
      pending = 0
      settle()
    } else if (ending) finish()
  }

  function pull(): void {
    asked = true
    hand()
  }

  const start = (given: typeof controller): void => void (controller = given)
  const body = new ReadableStream<Uint8Array>({ start, pull, cancel: close }, { highWaterMark: 0 })
  const sink: Sink = {
    write(frame) {
      if (closed) return
      const bytes = typeof frame === 'string' ? Buffer.from(frame) : frame
      queue.push(bytes)
      pending += bytes.length
      hand()
    },
    get pending() {
      return pending
    },
    onDrained(callback) {
      if (closed) callback()
      else drained.push(callback)
    },
    end() {
      ending = true
      hand()
      if (!closed && pending === 0) finish()
    },
    destroy() {
      if (closed) return
      controller.error(new Error('The client did not read the stream in time.'))
      close()
    },
    onClose: (callback) => void gone.promise.then(callback),
  }
  if (signal.aborted) close()
  else signal.addEventListener('abort', sink.destroy, { once: true })
  return { sink, response: new Response(body, { headers: { ...headers, ...SSE_HEADERS } }) }
}
