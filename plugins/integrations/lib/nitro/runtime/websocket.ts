import type { Kernel } from '../../../../../kernel/index.ts'
import type { Peer } from '../../peer.ts'

type Http = Pick<Kernel['http'], 'path' | 'websocket'>
type Hooks = Partial<Http['websocket']>

/** A request that asks to become a WebSocket, or a peer that was one. */
interface Upgrade {
  request?: { url?: string }
  url?: string
  headers?: Headers
  context?: Record<string, unknown>
}

/** What of h3's application finds who answers a WebSocket. */
export interface WebSocketApp {
  resolve?(from: Upgrade): Promise<Hooks>
}

export interface UpgradeOptions {
  /** What all paths of the application begin with. */
  base: string
  /** Resolves once the queue has started. */
  ready: () => Promise<Http | undefined>
  /** Who sent a request. */
  peerOf: (request: Request) => Peer
}

/**
 * Serves WebSockets below the path of the queue, once it has started. It does not use a route of h3, which
 * does not find those below a base URL when the application has middleware.
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

/** The request as one that came to the path of the queue. Its context is that of the socket to be. */
function withoutBase(request: Request, base: string): Request {
  const { url, headers, context } = request as unknown as Required<Upgrade>
  const short = new URL(url)
  short.pathname = short.pathname.slice(base.length)
  return { url: short.href, headers, context } as unknown as Request
}
