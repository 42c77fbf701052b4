import { request as nodeRequest } from 'node:http'
import type { KernelConfig, StoredEvent } from 'nuxt-queue/kernel'
import { createTestKernel, type TestKernelOptions } from '../../../testing/index.ts'

export interface Answer {
  status: number
  headers: Headers
  body: unknown
}

/** Sends a request exactly as written, without a client that normalizes its path. */
export interface RawRequest {
  method?: string
  headers?: Record<string, string>
  body?: string | Buffer | AsyncIterable<Buffer>
}

/** A kernel with a separate server on a real socket, with a virtual clock. */
export async function serve(http: KernelConfig['http'] = {}, options: TestKernelOptions = {}) {
  const test = await createTestKernel({ ...options, config: { ...options.config, http } })
  const server = await test.kernel.http.listen()
  const api = `${server.url}/_queue/api/`

  async function ask(path: string, init?: RequestInit): Promise<Answer> {
    const response = await fetch(api + path, init)
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.endsWith('json') === true && text !== ''
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text }
  }

  const post = (path: string, body: unknown = {}): Promise<Answer> =>
    ask(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })

  return {
    ...test,
    ...{ server, api, ask, post },
    raw: (path: string, request: RawRequest = {}) => raw(server.port, path, request),
    [Symbol.asyncDispose]: () => test.close(),
  }
}
export type Rig = Awaited<ReturnType<typeof serve>>

function raw(port: number, path: string, { method = 'GET', headers, body }: RawRequest): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = nodeRequest({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.on('end', () => {
        const type = String(response.headers['content-type'])
        const json = /json\s*(?:;|$)/.test(type) && text !== ''
        const given = Object.entries(response.headers).map(([name, value]): [string, string] => [name, String(value)])
        resolve({ status: response.statusCode!, headers: new Headers(given), body: json ? JSON.parse(text) : text })
      })
    })
    request.on('error', reject)
    if (body === undefined || typeof body === 'string' || Buffer.isBuffer(body)) request.end(body)
    else void feed(request, body)
  })
}

async function feed(request: ReturnType<typeof nodeRequest>, chunks: AsyncIterable<Buffer>): Promise<void> {
  for await (const chunk of chunks) if (!request.destroyed) request.write(chunk)
  request.end()
}

/** One frame of a stream, over server-sent events or a WebSocket. */
export interface Frame {
  kind: string
  id?: string
  data: unknown
}

export const seqs = (frames: readonly Frame[]): number[] =>
  frames.flatMap(({ kind, data }) => (kind === 'event' ? [(data as StoredEvent).seq] : []))

/** Collects the received frames, and waits for them. */
function createInbox() {
  const frames: Frame[] = []
  const watchers = new Set<() => void>()
  let over = false
  const wake = (): void => {
    for (const watcher of watchers) watcher()
  }
  return {
    frames,
    push(frame: Frame): void {
      frames.push(frame)
      wake()
    },
    close(): void {
      over = true
      wake()
    },
    /** Waits until the frames match, and rejects if the stream ends before. */
    until(wanted: (frames: readonly Frame[]) => boolean): Promise<readonly Frame[]> {
      return new Promise((resolve, reject) => {
        const look = (): void => {
          if (!wanted(frames) && !over) return
          watchers.delete(look)
          if (wanted(frames)) resolve(frames)
          else reject(new Error(`The stream ended with ${JSON.stringify(frames).slice(0, 2000)}`))
        }
        watchers.add(look)
        look()
      })
    },
    /** Waits for the end of the stream. */
    ended(): Promise<readonly Frame[]> {
      return new Promise((resolve) => {
        const look = (): void => {
          if (!over) return
          watchers.delete(look)
          resolve(frames)
        }
        watchers.add(look)
        look()
      })
    },
  }
}
export type Inbox = ReturnType<typeof createInbox>

/** Follows a stream of server-sent events. */
export async function openSse(
  url: string,
  init: RequestInit = {},
): Promise<Inbox & AsyncDisposable & { leave(): void }> {
  const abort = new AbortController()
  const response = await fetch(url, { ...init, signal: abort.signal })
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`)
  const inbox = createInbox()
  const reading = read(response, inbox).finally(inbox.close)
  reading.catch(() => {})
  const leave = (): void => abort.abort()
  return { ...inbox, leave, [Symbol.asyncDispose]: async () => leave() }
}

async function read(response: Response, inbox: Inbox): Promise<void> {
  let rest = ''
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + chunk).split('\n\n')
    rest = blocks.pop()!
    for (const block of blocks) inbox.push(frameOf(block))
  }
}

function frameOf(block: string): Frame {
  const fields = Object.fromEntries(
    block.split('\n').map((line) => [/^[^:]*/.exec(line)![0], line.replace(/^[^:]*: ?/, '')]),
  )
  const { event = 'event', id, data } = fields
  if (data === undefined && id !== undefined) return { kind: 'cursor', id, data: {} }
  if (data === undefined) return { kind: 'comment', data: block }
  return { kind: event, ...(id !== undefined && { id }), data: JSON.parse(data) as unknown }
}

/** The same over a WebSocket. */
export async function openSocket(url: string): Promise<Inbox & AsyncDisposable & { code: Promise<number> }> {
  const socket = new WebSocket(url.replace('http', 'ws'))
  const inbox = createInbox()
  const closed = Promise.withResolvers<number>()
  socket.addEventListener('message', ({ data }) => {
    const { kind, id, event, ...others } = JSON.parse(String(data)) as {
      kind: string
      id?: number | string
      event?: unknown
    }
    inbox.push({ kind, ...(id !== undefined && { id: String(id) }), data: event ?? others })
  })
  socket.addEventListener('close', ({ code }) => {
    closed.resolve(code)
    inbox.close()
  })
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve)
    socket.addEventListener('error', () => reject(new Error('The WebSocket did not open.')))
  })
  return { ...inbox, code: closed.promise, [Symbol.asyncDispose]: async () => socket.close() }
}
