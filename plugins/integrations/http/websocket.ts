import type { Ending, Sink } from './stream/sink.ts'
import type { Admission } from './api.ts'
import type { Kernel } from '../../../kernel/index.ts'
import { peerOf, recordPeer, type Peer } from '../lib/peer.ts'
import type { Service } from './service.ts'

/** What is used of a peer of crossws, in any version of it. */
export interface SocketPeer {
  readonly request?: unknown
  readonly context?: Record<string, unknown>
  readonly websocket?: { readonly bufferedAmount?: number }
  send(data: string): unknown
  close(code?: number, reason?: string): void
  terminate?(): void
}

/** Hooks for crossws, as `defineWebSocketHandler` and its adapters take them. */
export interface SocketHooks {
  /** @param peer what the caller knows of whoever sent the request, where its socket does not show it */
  upgrade(request: Request, peer?: Peer): Promise<Response | { context: Record<string, unknown> }>
  open(peer: SocketPeer): Promise<void>
  message(peer: SocketPeer, message: unknown): void
  close(peer: SocketPeer): void
  error(peer: SocketPeer, error: unknown): void
}

/** Under this name what a request was admitted to travels from the upgrade to the open socket. */
const ADMISSION = 'nuxt-queue'
/** What WebSockets are closed with (RFC 6455): at the end, try again later, going away. */
const CODES: Readonly<Record<Ending, number>> = { end: 1000, slow: 1013, closing: 1001 }
/** How often a socket that has a backlog is looked at, in milliseconds: those of crossws do not tell. */
const LOOK = 50

export function createSocketHooks(kernel: Kernel, load: () => Promise<Service>): SocketHooks {
  const gone = new WeakMap<SocketPeer, () => void>()

  async function admit(request: unknown, peer = peerOf(request as Request)): Promise<Admission | Response> {
    const { url, headers } = request as Request
    const { api, connections } = await load()
    const copy = new Request(url, { headers })
    recordPeer(copy, peer)
    const admission = await api.admit(copy)
    if (admission instanceof Response) return admission
    connections.assertRoom()
    return admission
  }

  function left(peer: SocketPeer): void {
    gone.get(peer)?.()
    gone.delete(peer)
  }

  return {
    async upgrade(request, peer) {
      try {
        const admission = await admit(request, peer)
        if (admission instanceof Response) return admission
        // Up to version 0.3, crossws takes over what is written here and not what is answered.
        const { context } = request as { context?: Record<string, unknown> }
        if (context) context[ADMISSION] = admission
        return { context: { [ADMISSION]: admission } }
      } catch (error) {
        const { problemResponse } = await import('./problems.ts')
        return problemResponse(error, kernel.reporter)
      }
    },
    async open(peer) {
      const closed = Promise.withResolvers<void>()
      gone.set(peer, closed.resolve)
      try {
        // Servers that do not carry the context over have it admitted here.
        const known = peer.context?.[ADMISSION] as Admission | undefined
        const admission = known ?? (await admit(peer.request))
        if (admission instanceof Response) return peer.close(1008, 'not allowed')
        const service = await load()
        service.feedSocket(admission, createSocketSink(kernel, peer, closed.promise))
      } catch {
        peer.close(CODES.slow, 'try again later')
      }
    },
    // What clients say is not asked for.
    message: () => {},
    close: left,
    error: left,
  }
}

function createSocketSink({ clock }: Kernel, peer: SocketPeer, gone: Promise<void>): Sink {
  const pending = (): number => peer.websocket?.bufferedAmount ?? 0
  let closed = false
  void gone.then(() => (closed = true))

  function look(callback: () => void): void {
    if (closed || pending() === 0) callback()
    else clock.setTimeout(() => look(callback), LOOK)
  }

  return {
    write: (frame) => void peer.send(frame as string),
    get pending() {
      return closed ? 0 : pending()
    },
    onDrained: look,
    end: (reason) => peer.close(CODES[reason], reason),
    destroy() {
      if (closed) return
      if (peer.terminate) peer.terminate()
      else peer.close()
    },
    onClose: (callback) => void gone.then(callback),
  }
}
