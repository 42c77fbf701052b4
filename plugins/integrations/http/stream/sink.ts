import type { ServerResponse } from 'node:http'

/** Why a stream ends: it is at its end, its client did not keep up, or this process goes. */
export type Ending = 'end' | 'slow' | 'closing'

/** Where the frames of one client go. */
export interface Sink {
  write(frame: string | Buffer): void
  /** How many bytes have been written and not taken. */
  readonly pending: number
  /** Calls back when the client has taken what was written, or has gone. */
  onDrained(callback: () => void): void
  /** Nothing more comes. What was written still goes out, if the client takes it. */
  end(reason: Ending): void
  /** Lets go of a client that takes nothing. */
  destroy(): void
  /** Calls back once, when the client has gone for whatever reason. */
  onClose(callback: () => void): void
}

export const SSE_HEADERS: Readonly<Record<string, string>> = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  // Proxies of nginx's kind would hold events back.
  'x-accel-buffering': 'no',
}

/** Writes to Node's response itself: without the buffers of a web stream between them, and knowing what is pending. */
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

/** The same as a Response, for servers that are handed one: they take what is there whenever they ask. */
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

  /** A closed stream takes nothing, and one that nobody has asked is not given anything. */
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
      controller.error(new Error('The client did not take what was sent.'))
      close()
    },
    onClose: (callback) => void gone.promise.then(callback),
  }
  if (signal.aborted) close()
  else signal.addEventListener('abort', sink.destroy, { once: true })
  return { sink, response: new Response(body, { headers: { ...headers, ...SSE_HEADERS } }) }
}
