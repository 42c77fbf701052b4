import { IncomingMessage, type Server } from 'node:http'
import type { NitroDevEventHandler } from 'nitropack/types'
import { forwardedBy, isLoopback, type Peer } from '../peer.ts'

/** Carries what the development server knows of a request to the process that runs the application. */
const HEADER = 'x-nuxt-queue-local'

/**
 * Makes a development server vouch for requests from this machine, with a secret that only it and the application
 * know: the application gets its requests through a proxy and a socket that shows no address.
 */
export function createVoucher(secret: string) {
  const servers = new WeakSet<Server>()

  function vouch({ headers, socket }: IncomingMessage): void {
    const isLocal = socket.remoteAddress !== undefined && isLoopback(socket.remoteAddress)
    if (isLocal && forwardedBy((name) => headers[name] !== undefined) === undefined) headers[HEADER] = secret
  }

  /** Upgrades pass no middleware, so that the server itself has to be listened to, before its proxy. */
  function watch(server: Server | undefined): void {
    if (!server || servers.has(server)) return
    servers.add(server)
    server.prependListener('upgrade', vouch)
  }

  function middleware({ node: { req } }: { node: { req: IncomingMessage } }): void {
    vouch(req)
    watch((req.socket as { server?: Server }).server)
  }

  // What h3 1 knows a handler by.
  const handler = Object.assign(middleware, { __is_handler__: true }) as unknown as NitroDevEventHandler['handler']
  return { handler, watch }
}

/** Who sent a request to an application in development. One that the application makes itself has no socket. */
export function developmentPeer(request: IncomingMessage, secret: string): Peer {
  const isOwn = !(request instanceof IncomingMessage)
  return { trusted: isOwn || request.headers[HEADER] === secret }
}

/** Who sent an upgrade to an application in development. */
export function upgradePeer({ headers }: Request, secret: string): Peer {
  return { trusted: headers.get(HEADER) === secret }
}
