import { IncomingMessage, type Server } from 'node:http'
import { forwardedBy, isLoopback, type Peer } from '../peer.ts'

/**
 * The variable that passes the secret from the development server to the application. It must not be in the code that is
 * built, because Vite serves all files of the project to everyone who can reach the development server.
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

  function vouch({ headers, socket }: IncomingMessage): Record<string, string> {
    const isLocal = socket.remoteAddress !== undefined && isLoopback(socket.remoteAddress)
    if (!isLocal || forwardedBy((name) => headers[name] !== undefined) !== undefined) return {}
    headers[HEADER] = secret
    return { [HEADER]: secret }
  }

  /** Upgrades do not pass through middleware, so this listens on the server itself, before its proxy. */
  function watch(server: Server | undefined): void {
    if (!server || servers.has(server)) return
    servers.add(server)
    server.prependListener('upgrade', vouch)
  }

  return {
    /** Marks a request if it comes from this machine, and all later upgrades of its server. Returns the added headers. */
    vouch(request: IncomingMessage): Record<string, string> {
      watch((request.socket as { server?: Server }).server)
      return vouch(request)
    },
    watch,
  }
}

/** Returns the sender of a request in development. A request that the application makes itself has no socket. */
export function developmentPeer(request: IncomingMessage, secret: string): Peer {
  const isOwn = !(request instanceof IncomingMessage)
  return { trusted: isOwn || request.headers[HEADER] === secret }
}

/** Returns the sender of a web-standard request in development. A request that the application makes itself has no socket. */
export function webPeer(request: Request, secret: string): Peer {
  const { runtime } = request as { runtime?: { node?: unknown } }
  return { trusted: runtime?.node === undefined || request.headers.get(HEADER) === secret }
}

/** Returns the sender of an upgrade in development. */
export function upgradePeer({ headers }: Request, secret: string): Peer {
  return { trusted: headers.get(HEADER) === secret }
}
