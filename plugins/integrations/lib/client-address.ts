import { BlockList, isIP } from 'node:net'
import { forwardedBy, isLoopback, peerOf } from './peer.ts'

/** Networks that the internet cannot reach: the machine itself, and private networks. */
const PRIVATE = [
  ...(['127.0.0.0/8', '10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '169.254.0.0/16', '100.64.0.0/10'] as const),
  ...(['::1/128', 'fc00::/7', 'fe80::/10'] as const),
]

/** Returns whether a string names proxies: an address, a network such as `10.0.0.0/8`, or `private`. */
export function isNetwork(text: string): boolean {
  if (text === 'private') return true
  const [address = '', bits, ...rest] = text.split('/')
  const longest = isIP(address) === 6 ? 128 : 32
  if (isIP(address) === 0 || rest.length > 0) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= longest)
}

/**
 * Returns the address of the client that sent a request, or `undefined` if it is this machine or unknown. For an IPv6
 * address, it returns the 64-bit network, because one client owns all of it.
 *
 * @param trusted proxies whose `X-Forwarded-For` is trusted; see `isNetwork`
 * @param onUndeclared called for a request through a nearby proxy that is not trusted, so that its sender is unknown
 */
export function createClientAddress(
  trusted: readonly string[],
  onUndeclared: () => void,
): (request: Request) => string | undefined {
  const proxies = listOf(trusted.flatMap((one) => (one === 'private' ? PRIVATE : [one])))
  const nearby = listOf(PRIVATE)

  return (request) => {
    const { address } = peerOf(request)
    if (address === undefined) return undefined
    let client = plain(address)
    if (contains(proxies, client)) {
      const hops = (request.headers.get('x-forwarded-for') ?? '').split(',').map((hop) => plain(hop.trim()))
      // Only addresses that trusted proxies added count, so the client is the first address from the right that is not a trusted proxy.
      while (contains(proxies, client) && isIP(hops.at(-1) ?? '') !== 0) client = hops.pop()!
    } else if (contains(nearby, client) && forwardedBy((name) => request.headers.has(name)) !== undefined) {
      onUndeclared()
      return undefined
    }
    return isLoopback(client) ? undefined : networkOf(client)
  }
}

function listOf(networks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', bits] = network.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    list.addSubnet(address, Number(bits ?? (family === 'ipv6' ? 128 : 32)), family)
  }
  return list
}

function contains(list: BlockList, address: string): boolean {
  const version = isIP(address)
  return version !== 0 && list.check(address, version === 6 ? 'ipv6' : 'ipv4')
}

/** Removes brackets, a zone, a port of IPv4, and the prefix that maps IPv4 into IPv6. */
function plain(address: string): string {
  const bare = address.replace(/^\[(.*)\](?::\d+)?$/, '$1').replace(/%.*$/, '')
  const mapped = bare.replace(/^::ffff:(?=\d+\.)/i, '')
  return /^\d+(?:\.\d+){3}:\d+$/.test(mapped) ? mapped.replace(/:\d+$/, '') : mapped
}

function networkOf(address: string): string {
  if (isIP(address) !== 6) return address
  const [head = '', tail] = address.toLowerCase().split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - left.length - right.length)
  const groups = [...left, ...Array.from({ length: zeros }, () => '0'), ...right].slice(0, 4)
  return `${groups.map((group) => Number.parseInt(group, 16).toString(16)).join(':')}::/64`
}
