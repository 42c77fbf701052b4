import { IncomingMessage, type Server } from 'node:http'
import type { NitroDevEventHandler } from 'nitropack/types'
import { forwardedBy, isLoopback, type Peer } from '../peer.ts'

/**
 * The variable that passes the secret from the development server to the application. It must not be in the code that is
 * built, because Vite serves all files of the project to whoever can reach the development server.
 */
export const SECRET_VARIABLE = '__NUXT_QUEUE_DEVELOPMENT_SECRET'

/** The header that passes the sender of a request from the development server to the process of the application. */
const HEADER = 'x-nuxt-queue-local'

/**
 * Makes a development server mark requests from this machine with a secret that only the server and the application know.
 * The application receives its requests through a proxy and a socket without an address.
 */
export function createVoucher(secret: string) {
  const servers = new WeakSet<Server>()

  function vouch({ headers, socket }: IncomingMessage): void {
    const isLocal = socket.remoteAddress !== undefined && isLoopback(socket.remoteAddress)
    if (isLocal && forwardedBy((name) => headers[name] !== undefined) === undefined) headers[HEADER] = secret
  }

  /** Upgrades do not pass through middleware, so this listens on the server itself, before its proxy. */
  function watch(server: Server | undefined): void {
    if (!server || servers.has(server)) return
    servers.add(server)
    server.prependListener('upgrade', vouch)
  }

  function middleware({ node: { req } }: { node: { req: IncomingMessage } }): void {
    vouch(req)
    watch((req.socket as { server?: Server }).server)
  }

  // h3 1 recognizes a handler by this property.
  const handler = Object.assign(middleware, { __is_handler__: true }) as unknown as NitroDevEventHandler['handler']
  return { handler, watch }
}

/** Returns the sender of a request in development. A request that the application makes itself has no socket. */
export function developmentPeer(request: IncomingMessage, secret: string): Peer {
  const isOwn = !(request instanceof IncomingMessage)
  return { trusted: isOwn || request.headers[HEADER] === secret }
}

/** Returns the sender of an upgrade in development. */
export function upgradePeer({ headers }: Request, secret: string): Peer {
  return { trusted: headers.get(HEADER) === secret }
}
