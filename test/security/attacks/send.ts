import { createConnection } from 'node:net'
import { COOKIE, type Address, type Target, type Weakness } from '../targets.ts'

/** An attack: its requests, and the fault that lets it succeed. */
export interface Attack<On extends Address = Target> {
  name: string
  /** Whether it has succeeded. */
  attempt(target: On): Promise<boolean>
  /** The fault of a server that lets the attack succeed. */
  weakness: Weakness
}

export const JSON_TYPE = { 'content-type': 'application/json' }

interface Sent {
  method?: string
  headers?: Record<string, string>
  body?: string | Buffer
}

interface Reply {
  status: number
  head: string
  body: string
}

/** Sends exactly the given bytes, which clients would normalize. */
export function exchange(
  { port }: Address,
  bytes: string | Buffer,
  isOver = (_text: string) => false,
): Promise<string> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1')
    let text = ''
    socket.setEncoding('latin1')
    socket.on('data', (chunk) => {
      text += String(chunk)
      if (isOver(text)) socket.destroy()
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(text))
    socket.write(bytes)
  })
}

/** Sends a request from the browser of a user who is logged in, or with other `headers`. */
export async function send(
  target: Address,
  path: string,
  { method = 'GET', headers = {}, body = '' }: Sent = {},
): Promise<Reply> {
  const given = { host: `localhost:${target.port}`, cookie: COOKIE, connection: 'close', ...headers }
  const lines = Object.entries(given).flatMap(([name, value]) => (value === '' ? [] : [`${name}: ${value}`]))
  const length = method === 'GET' ? [] : [`content-length: ${Buffer.byteLength(body)}`]
  const head = [`${method} ${target.base}${path} HTTP/1.1`, ...lines, ...length, '', ''].join('\r\n')
  const text = await exchange(target, Buffer.concat([Buffer.from(head), Buffer.from(body)]), isStream)
  const [top = '', ...rest] = text.split('\r\n\r\n')
  return { status: Number(/^HTTP\/1.1 (\d+)/.exec(top)?.[1]), head: top, body: rest.join('\r\n\r\n') }
}

/** Streams and upgraded connections do not end by themselves. */
function isStream(text: string): boolean {
  return /^HTTP\/1.1 (?:101|200)[^]*?(?:event-stream|websocket)[^]*?\r\n\r\n/i.test(text)
}

export const job = (id: string, data: unknown = null): string =>
  JSON.stringify({ worker: 'echo', data, options: { id } })

/** Returns whether at least one attempt has succeeded. */
export async function any<T>(tries: readonly T[], attempt: (one: T) => Promise<boolean>): Promise<boolean> {
  for (const one of tries) if (await attempt(one)) return true
  return false
}
