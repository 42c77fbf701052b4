import type { Kernel } from '../../../../../kernel/index.ts'
import type { Peer } from '../../peer.ts'

type Http = Pick<Kernel['http'], 'path' | 'websocket'>
type Hooks = Partial<Http['websocket']>

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

export interface UpgradeOptions {
  /** The base URL of the application. */
  base: string
  /** Resolves once the queue has started. */
  ready: () => Promise<Http | undefined>
  /** Returns the sender of a request. */
  peerOf: (request: Request) => Peer
}

/**
 * Serves WebSockets below the path of the queue after the queue has started. It does not use a route of h3, because h3
 * does not find routes below a base URL if the application has middleware.
 */
export function answerUpgrades(app: WebSocketApp, options: UpgradeOptions): void {
  const { ready, peerOf } = options
  const others = app.resolve?.bind(app)
  const base = options.base.replace(/\/$/, '')
  app.resolve = async (from) => {
    const http = await ready()
    const url = new URL(from.request?.url ?? from.url ?? '/', 'http://localhost')
    if (!http || !url.pathname.startsWith(base + http.path)) return (await others?.(from)) ?? {}
    const { websocket } = http
    return { ...websocket, upgrade: (request) => websocket.upgrade(withoutBase(request, base), peerOf(request)) }
  }
}

/** Returns the request with the path of the queue. Its context becomes the context of the socket. */
function withoutBase(request: Request, base: string): Request {
  const { url, headers, context } = request as unknown as Required<Upgrade>
  const short = new URL(url)
  short.pathname = short.pathname.slice(base.length)
  return { url: short.href, headers, context } as unknown as Request
}
