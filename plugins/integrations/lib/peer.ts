import type { IncomingMessage } from 'node:http'

/** What a host that embeds the interface knows of a request. */
export interface Peer {
  /** True where the caller vouches that the request comes from this machine, as where there is no socket to ask. */
  trusted?: boolean
  /** The address of whoever sent the request, such as `127.0.0.1`. Default: that of its socket, where it has one. */
  address?: string
}

/** Headers that proxies add. A request that carries one was passed on for somebody else. */
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

/** As far as it is looked at: a framework may hand in one without a socket. */
type Incoming = Partial<Pick<IncomingMessage, 'socket'>>

const known = new WeakMap<object, Peer>()

/** Records who sent a request, of fetch or of Node, that has no socket of its own. */
export function recordPeer(request: Request | Incoming, peer: Peer): void {
  known.set(request, peer)
}

/** Who sent a request, for a copy of it. */
export function peerOf(request: Request): Peer {
  return known.get(request) ?? ofSource(request)
}

/**
 * Why a request may come from another machine, as the rest of a sentence; `undefined` where the socket shows
 * that it does not. What cannot be known counts as another machine.
 */
export function remoteReason(request: Request): string | undefined {
  const { trusted, address } = peerOf(request)
  if (trusted === true) return undefined
  const forwarded = forwardedBy((name) => request.headers.has(name))
  if (forwarded !== undefined) return `a proxy passed it on (it has the header ${forwarded})`
  if (address === undefined) return 'it has no socket that shows where it comes from'
  return isLoopback(address) ? undefined : `it came from ${address}`
}

/** Requests of srvx, which h3 2 stands on, and of crossws carry the request of Node, or the address itself. */
function ofSource(request: Request): Peer {
  const { runtime, _req, ip } = request as { runtime?: { node?: { req?: Incoming } }; _req?: Incoming; ip?: unknown }
  const node = runtime?.node?.req ?? _req
  if (node) return known.get(node) ?? { address: node.socket?.remoteAddress }
  return { address: typeof ip === 'string' ? ip : undefined }
}

/** The header that shows that a proxy has passed a request on, if one does. */
export function forwardedBy(has: (header: string) => boolean): string | undefined {
  return FORWARDING.find(has)
}

/** Whether an address is one of this machine that no other machine reaches. */
export function isLoopback(address: string): boolean {
  const plain = address
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/^::ffff:/, '')
  return plain === '::1' || plain === 'localhost' || /^127(?:\.\d{1,3}){3}$/.test(plain)
}
