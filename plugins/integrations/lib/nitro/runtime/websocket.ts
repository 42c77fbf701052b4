import type { Kernel } from '../../../../../kernel/index.ts'
import type { Peer } from '../../peer.ts'

type Http = Pick<Kernel['http'], 'websocket'>
export type Hooks = Partial<Http['websocket']>

/** A request for a WebSocket, or the peer that it became. */
interface Upgrade {
  request?: { url?: string }
  url?: string
  headers?: Headers
  context?: Record<string, unknown>
}

/** The part of h3's application that finds the handler of a WebSocket. */
export interface WebSocketApp {
  resolve?(from: Upgrade): Promise<Hooks>
}

/**
 * Serves WebSockets below a path after the queue has started. It does not use a route of h3, because h3 1 does not find
 * routes below a base URL if the application has middleware.
 *
 * @param hooksOf resolves with the hooks for the path of a request, or with `undefined` for another path
 */
export function patchResolve(app: WebSocketApp, hooksOf: (pathname: string) => Promise<Hooks | undefined>): void {
  const others = app.resolve?.bind(app)
  app.resolve = async (from) => {
    const { pathname } = new URL(from.request?.url ?? from.url ?? '/', 'http://localhost')
    return (await hooksOf(pathname)) ?? (await others?.(from)) ?? {}
  }
}

/** Returns the hooks of the queue for requests whose path begins with the base URL of the application. */
export function hooksBelow(base: string, { websocket }: Http, peerOf: (request: Request) => Peer): Hooks {
  return { ...websocket, upgrade: (request) => websocket.upgrade(withoutBase(request, base), peerOf(request)) }
}

/** Returns the request with the path of the queue. Its context becomes the context of the socket. */
function withoutBase(request: Request, base: string): Request {
  const { url, headers, context } = request as unknown as Required<Upgrade>
  const short = new URL(url)
  short.pathname = short.pathname.slice(base.length)
  return { url: short.href, headers, context } as unknown as Request
}
