import type { StreamEndReason, Sink } from './stream/sink.ts'
import type { Admission } from './api.ts'
import type { Kernel } from '../../../kernel/index.ts'
import { peerOf, recordPeer, type Peer } from '../lib/peer.ts'
import type { Service } from './service.ts'

/** The members of a crossws peer that this module uses. Every version has them. */
export interface SocketPeer {
  readonly request?: unknown
  readonly context?: Record<string, unknown>
  readonly websocket?: { readonly bufferedAmount?: number }
  send(data: string): unknown
  close(code?: number, reason?: string): void
  terminate?(): void
}

/** Hooks for crossws, in the form that `defineWebSocketHandler` and the adapters of crossws accept. */
export interface SocketHooks {
  /** @param peer what the caller knows about the sender of the request, if its socket does not show it */
  upgrade(request: Request, peer?: Peer): Promise<Response | { context: Record<string, unknown> }>
  open(peer: SocketPeer): Promise<void>
  message(peer: SocketPeer, message: unknown): void
  close(peer: SocketPeer): void
  error(peer: SocketPeer, error: unknown): void
}

/** The key of the context that carries the admitted stream from the upgrade to the open socket. */
const ADMISSION = 'nuxt-queue'
/** The close codes of WebSockets (RFC 6455): normal end, try again later, going away. */
const CODES: Readonly<Record<StreamEndReason, number>> = { end: 1000, slow: 1013, closing: 1001 }
/** How often a socket with a backlog is checked, in milliseconds. Sockets of crossws have no drain event. */
const BACKLOG_INTERVAL = 50

export function createSocketHooks(kernel: Kernel, load: () => Promise<Service>): SocketHooks {
  const closers = new WeakMap<SocketPeer, () => void>()

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
    closers.get(peer)?.()
    closers.delete(peer)
  }

  return {
    async upgrade(request, peer) {
      try {
        const admission = await admit(request, peer)
        if (admission instanceof Response) return admission
        // Up to version 0.3, crossws uses the context that is written here and ignores the returned one.
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
      closers.set(peer, closed.resolve)
      try {
        // On servers that do not pass the context on, the request is admitted here.
        const known = peer.context?.[ADMISSION] as Admission | undefined
        const admission = known ?? (await admit(peer.request))
        if (admission instanceof Response) return peer.close(1008, 'not allowed')
        const service = await load()
        service.feedSocket(admission, createSocketSink(kernel, peer, closed.promise))
      } catch {
        peer.close(CODES.slow, 'try again later')
      }
    },
    // Messages of clients are ignored.
    message: () => {},
    close: left,
    error: left,
  }
}

function createSocketSink({ clock }: Kernel, peer: SocketPeer, closing: Promise<void>): Sink {
  const pending = (): number => peer.websocket?.bufferedAmount ?? 0
  let closed = false
  void closing.then(() => (closed = true))

  function look(callback: () => void): void {
    if (closed || pending() === 0) callback()
    else clock.setTimeout(() => look(callback), BACKLOG_INTERVAL)
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
    onClose: (callback) => void closing.then(callback),
  }
}
