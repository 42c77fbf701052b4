import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { MaybePromise } from '../../../kernel/index.ts'
import type { Peer } from '../lib/peer.ts'
import type { HttpAction } from './access.ts'
import type { Listening, ListenOptions } from './listening.ts'
import type { SocketHooks } from './websocket.ts'

/** Serves requests below a mounted path. */
export type Mounted = (visit: {
  request: Request
  /** The rest of the path, without a leading slash. `undefined` if the request named the folder without its slash. */
  path: string | undefined
  /** Whether this is production. */
  production: boolean
  /**
   * Receives the JSON body, like the routes of the API.
   *
   * @throws QueueError `MEDIA_TYPE_UNKNOWN`, `PAYLOAD_TOO_LARGE`, `REQUEST_INVALID`
   */
  json(): Promise<unknown>
}) => MaybePromise<Response>

/** Serves the kernel over HTTP, on any server. */
export interface Http {
  /** The path of all routes. It ends with a slash. */
  readonly path: string
  /**
   * Handles requests below `<path>api/`, and passes all others to `kernel.webhooks.fetch`. Never rejects.
   * Without `http.authorize` and `http.token`, it serves only requests from this machine. Requests of srvx and h3 have
   * a socket with the address. For other requests, pass `peer`.
   *
   * @param peer what the caller knows about the sender of the request
   * @example
   * serve({ fetch: (request) => kernel.http.fetch(request) })
   * await kernel.http.fetch(new Request('http://localhost/_queue/api/queues'), { trusted: true })
   */
  fetch(request: Request, peer?: Peer): Promise<Response>
  /**
   * Handles requests of Node's servers in the same way, and writes streams directly to the response. Never rejects.
   *
   * @param peer what the caller knows about the sender of the request, if its socket does not show it
   * @example
   * createServer((request, response) => kernel.http.node(request, response))
   */
  node(request: IncomingMessage, response: ServerResponse, peer?: Peer): Promise<void>
  /** Hooks for crossws and `defineWebSocketHandler` that serve streams as WebSockets. */
  readonly websocket: SocketHooks
  /**
   * Serves streams as WebSockets on Node's servers. It responds to every upgrade. If your server has other WebSockets,
   * pass only upgrades below `path`.
   *
   * @example
   * server.on('upgrade', kernel.http.upgrade)
   */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
  /**
   * Serves requests at `<path><name>` and below. These paths are closed when the API is closed: in production without `http.authorize` and
   * `http.token` (404), and to other machines in development (403). Without an `action`, anyone else may see them, so they must contain no
   * data. With an `action`, the token or `authorize` decides about each request.
   *
   * @example
   * kernel.http.mount('ui', ({ path }) => new Response(path === '' ? page : null, { status: path === '' ? 200 : 404 }))
   */
  mount(name: string, serve: Mounted, access?: { action: HttpAction['type'] }): void
  /** Returns the OpenAPI 3.1 document of the API. */
  describe(): Promise<object>
  /** Warns if this is production and neither `http.authorize` nor `http.token` is set. Only webhooks are then served. */
  warnIfClosed(): void
  /** How many streams are open in this process. */
  readonly connections: number
  /**
   * Ends all streams and refuses new ones. Call it before you close a server that waits for its connections. Clients
   * reconnect to another instance.
   */
  drain(): Promise<void>
  /**
   * Starts a separate server that closes with the kernel.
   *
   * @throws QueueError `KERNEL_CLOSED`; `CONFIG_INVALID` for a host that other machines can reach if neither
   * `http.authorize` nor `http.token` is set
   */
  listen(options?: ListenOptions): Promise<Listening>
}
