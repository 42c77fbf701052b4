import { createServer, type Server, type ServerOptions } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { QueueError } from '../../../kernel/index.ts'
import type { Http } from './http.ts'
import type { Listening, ListenOptions } from './listening.ts'
import { isLoopback } from '../lib/peer.ts'

/** How long open requests may take when the server closes, in milliseconds. */
const GRACE = 2_000

/** How long a client may take to send its headers and its whole request, and how often Node checks it, in milliseconds. */
const TIMEOUTS = { headersTimeout: 10_000, requestTimeout: 60_000, connectionsCheckingInterval: 5_000 } as const

/** Starts a Node server with the whole interface. @throws QueueError `CONFIG_INVALID`; an error of Node, such as `EADDRINUSE` */
export async function listen(
  http: Pick<Http, 'node' | 'upgrade'>,
  { port = 0, host = '127.0.0.1' }: ListenOptions,
  isProtected: boolean,
  timeouts: Pick<ServerOptions, keyof typeof TIMEOUTS> = TIMEOUTS,
): Promise<Listening> {
  if (!isProtected && !isLoopback(host)) throw unprotected(host)
  const server = createServer(timeouts, (request, response) => void http.node(request, response))
  server.on('upgrade', http.upgrade)
  /** Sockets that became WebSockets. The server no longer tracks them and does not wait for them. */
  const upgraded = new Set<Socket>()
  server.on('upgrade', (_request, socket: Socket) => {
    upgraded.add(socket)
    socket.once('close', () => upgraded.delete(socket))
  })
  await opened(server, port, host)
  const { address, family, port: taken } = server.address() as AddressInfo
  const name = family === 'IPv6' ? `[${address}]` : address
  let closing: Promise<void> | undefined

  async function close(): Promise<void> {
    const closed = new Promise((resolve) => server.close(resolve))
    const timer = setTimeout(() => {
      server.closeAllConnections()
      for (const socket of upgraded) socket.destroy()
    }, GRACE)
    server.closeIdleConnections()
    await closed
    clearTimeout(timer)
    for (const socket of upgraded) socket.destroySoon()
  }

  return { url: `http://${name}:${taken}`, port: taken, close: () => (closing ??= close()) }
}

function unprotected(host: string): QueueError {
  const what = `The HTTP interface cannot listen on "${host}", because other machines can reach it and it has no access control`
  const hint = 'Set http.token (NUXT_QUEUE_HTTP_TOKEN) or http.authorize; () => false serves webhooks only'
  return new QueueError('CONFIG_INVALID', `${what}. ${hint}. Alternatively, listen on 127.0.0.1.`)
}

function opened(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
}
