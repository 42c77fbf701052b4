import type { IncomingMessage } from 'node:http'

/** What the host server knows about the sender of a request. */
export interface Peer {
  /** True if the caller guarantees that the request comes from this machine, for example a request without a socket. */
  trusted?: boolean
  /** The address of the sender, such as `127.0.0.1`. Default: the address of the socket, if there is one. */
  address?: string
}

/** Headers that proxies add. A request with one of them was forwarded for another client. */
const FORWARDING = [
  ...(['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-forwarded-port'] as const),
  ...([
    'x-forwarded',
    'x-forwarded-server',
    'x-forwarded-scheme',
    'x-forwarded-ssl',
    'x-original-forwarded-for',
  ] as const),
  ...(['forwarded-for', 'x-original-host', 'x-cluster-client-ip', 'x-envoy-external-address', 'x-remote-ip'] as const),
  ...([
    'x-real-ip',
    'x-client-ip',
    'true-client-ip',
    'cf-connecting-ip',
    'fastly-client-ip',
    'via',
    'cdn-loop',
  ] as const),
  ...([
    'fly-client-ip',
    'x-azure-clientip',
    'x-azure-socketip',
    'x-appengine-user-ip',
    'x-vercel-forwarded-for',
  ] as const),
]

/** The parts of a request that are read. A framework may pass a request without a socket. */
type Incoming = Partial<Pick<IncomingMessage, 'socket'>>

const known = new WeakMap<object, Peer>()

/** Records the sender of a web-standard or Node request that has no socket. */
export function recordPeer(request: Request | Incoming, peer: Peer): void {
  known.set(request, peer)
}

/** Returns the sender of a request, for a copy of the request. */
export function peerOf(request: Request): Peer {
  return known.get(request) ?? ofSource(request)
}

/**
 * Returns why a request may come from another machine, as the rest of a sentence, or `undefined` if the socket shows that
 * it comes from this machine. An unknown sender counts as another machine.
 */
export function remoteReason(request: Request): string | undefined {
  const { trusted, address } = peerOf(request)
  if (trusted === true) return undefined
  const forwarded = forwardedBy((name) => request.headers.has(name))
  if (forwarded !== undefined) return `a proxy forwarded it (it has the header ${forwarded})`
  if (address === undefined) return 'it has no socket that shows where it comes from'
  return isLoopback(address) ? undefined : `it came from ${address}`
}

/** Requests of srvx, which h3 2 uses, and of crossws contain the request of Node, or the address itself. */
function ofSource(request: Request): Peer {
  const { runtime, _req, ip } = request as { runtime?: { node?: { req?: Incoming } }; _req?: Incoming; ip?: unknown }
  const node = runtime?.node?.req ?? _req
  if (node) return known.get(node) ?? { address: node.socket?.remoteAddress }
  return { address: typeof ip === 'string' ? ip : undefined }
}

/** Returns the header that shows that a proxy forwarded a request, if there is one. */
export function forwardedBy(has: (header: string) => boolean): string | undefined {
  return FORWARDING.find(has)
}

/** Returns whether an address belongs to this machine and other machines cannot reach it. */
export function isLoopback(address: string): boolean {
  const plain = address
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/^::ffff:/, '')
  return plain === '::1' || plain === 'localhost' || /^127(?:\.\d{1,3}){3}$/.test(plain)
}
