import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Peer } from '../lib/peer.ts'
import type { Listening, ListenOptions } from './listening.ts'
import type { SocketHooks } from './websocket.ts'

/** The kernel over HTTP, whatever server there is. */
export interface Http {
  /** The path that everything lies below, with a slash at its end. */
  readonly path: string
  /**
   * Answers requests below `<path>api/`, and hands all others to `kernel.webhooks.fetch`. Never rejects.
   * Without `http.authorize` and `http.token` it serves requests from this machine only: it asks the socket of
   * requests that srvx or h3 made; for any other say so with `peer`.
   *
   * @param peer what the caller knows of whoever sent the request
   * @example
   * serve({ fetch: (request) => kernel.http.fetch(request) })
   * await kernel.http.fetch(new Request('http://localhost/_queue/api/queues'), { trusted: true })
   */
  fetch(request: Request, peer?: Peer): Promise<Response>
  /**
   * The same as a listener for Node's servers; streams are written straight to the response. Never rejects.
   *
   * @param peer what the caller knows of whoever sent the request, where its socket does not show it
   * @example
   * createServer((request, response) => kernel.http.node(request, response))
   */
  node(request: IncomingMessage, response: ServerResponse, peer?: Peer): Promise<void>
  /** Streams as WebSockets: hooks for crossws, and so for `defineWebSocketHandler`. */
  readonly websocket: SocketHooks
  /**
   * Streams as WebSockets for Node's servers. It answers every upgrade; let it have those below `path` only,
   * if there are others.
   *
   * @example
   * server.on('upgrade', kernel.http.upgrade)
   */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
  /** How many streams are open in this process. */
  readonly connections: number
  /**
   * Ends all streams and opens no more: for servers that wait for their connections before they
   * close. Clients connect again, to another instance.
   */
  drain(): Promise<void>
  /**
   * Starts a server of its own, which closes with the kernel.
   *
   * @throws QueueError `KERNEL_CLOSED`; `CONFIG_INVALID` for a host that other machines reach while neither
   * `http.authorize` nor `http.token` is set
   */
  listen(options?: ListenOptions): Promise<Listening>
}
