import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { QueueError } from '../../../kernel/index.ts'

export interface Remote {
  /** The address of the routes of a server, such as `https://shop.example.com/_queue/`. */
  url: string
  token?: string
  port: number
}

/** Headers of a request that the server needs. Cookies and the origin of the page stay here. */
const SENT = ['accept', 'content-type', 'if-none-match', 'last-event-id']
/** Headers of a response that concern the connection, or a body that is already unpacked. */
const DROPPED = new Set([
  'connection',
  'content-encoding',
  'content-length',
  'keep-alive',
  'set-cookie',
  'transfer-encoding',
])

/** @throws QueueError `OPTION_INVALID` */
export function parseRemote(url: string): URL {
  const parsed = URL.parse(url.endsWith('/') ? url : `${url}/`)
  if (parsed && /^https?:$/.test(parsed.protocol) && parsed.search === '') return parsed
  throw new QueueError(
    'OPTION_INVALID',
    `--url takes an address such as https://shop.example.com/_queue/; got "${url}".`,
  )
}

/**
 * Forwards requests of browsers on this machine to a server, with a token that the browser never receives. Requests that pages of
 * other sites make a browser send are refused.
 *
 * @throws QueueError `OPTION_INVALID`; an error of Node, such as `EADDRINUSE`
 */
export async function serveRemote({ url, token, port }: Remote): Promise<{ url: string; close: () => Promise<void> }> {
  const target = parseRemote(url)
  const server = createServer((request, response) => {
    pass(request, response).catch((error: unknown) => {
      if (response.headersSent) return void response.destroy()
      response
        .writeHead(502, { 'content-type': 'text/plain' })
        .end(`${target.href} cannot be reached: ${(error as Error).message}`)
    })
  })

  async function pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { port: own } = server.address() as AddressInfo
    if (!isOwn(request, own)) return void response.writeHead(403).end('This address serves only its own pages.')
    const path = (request.url ?? '/').replace(/^\/+/, '')
    if (path === '') return void response.writeHead(302, { location: 'ui/' }).end()
    if (!/^(?:ui|api)(?:[/?]|$)/.test(path)) return void response.writeHead(404).end()
    const abort = new AbortController()
    response.on('close', () => abort.abort())
    const body = request.method === 'POST' ? { body: Readable.toWeb(request) as ReadableStream, duplex: 'half' } : {}
    const answer = await fetch(new URL(path, target), {
      ...{ method: request.method, headers: headersOf(request), redirect: 'manual', signal: abort.signal },
      ...body,
    } as RequestInit)
    const headers = [...answer.headers].filter(([name]) => !DROPPED.has(name))
    response.writeHead(answer.status, Object.fromEntries(headers))
    if (!answer.body) return void response.end()
    await pipeline(Readable.fromWeb(answer.body), response).catch(() => {})
  }

  function headersOf({ headers }: IncomingMessage): Headers {
    const sent = SENT.flatMap((name): [string, string][] =>
      headers[name] === undefined ? [] : [[name, String(headers[name])]],
    )
    return new Headers([
      ...sent,
      ...(token === undefined ? [] : [['authorization', `Bearer ${token}`] as [string, string]]),
    ])
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  const { port: taken } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${taken}/`,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}

/** Returns whether a browser sent a request for a page of this server, under one of the names of this machine. */
function isOwn({ headers }: IncomingMessage, port: number): boolean {
  const hosts = [`127.0.0.1:${port}`, `localhost:${port}`]
  if (!hosts.includes(headers.host ?? '')) return false
  const { origin, 'sec-fetch-site': site } = headers
  if (origin !== undefined) return hosts.some((host) => origin === `http://${host}`)
  return site === undefined || site === 'same-origin' || site === 'none'
}
