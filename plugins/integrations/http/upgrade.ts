import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Kernel } from '../../../kernel/index.ts'
import { recordPeer } from '../lib/peer.ts'
import type { SocketHooks } from './websocket.ts'

/** The largest message of a client, in bytes. Clients send none. */
const MAX_MESSAGE = 1024

/** Turns upgrades of Node's server into WebSockets. Loads crossws. */
export async function createUpgrade(kernel: Kernel, hooks: SocketHooks) {
  const { default: adapter } = await import('crossws/adapters/node')
  const { handleUpgrade } = adapter({
    hooks,
    serverOptions: { maxPayload: MAX_MESSAGE, perMessageDeflate: false },
  })
  return async (request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    try {
      await handleUpgrade(request, socket, head, requestOf(request))
    } catch (error) {
      if (!(error instanceof TypeError)) kernel.reporter.warn('A WebSocket could not be opened.', error)
      socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n')
    }
  }
}

function requestOf({ url = '/', headers, socket }: IncomingMessage): Request {
  const given = Object.entries(headers).flatMap(([name, value]) =>
    [value ?? []].flat().map((one): [string, string] => [name, one]),
  )
  const request = new Request(new URL(url, `http://${headers.host ?? 'localhost'}`), { headers: given })
  recordPeer(request, { address: socket.remoteAddress })
  return request
}
