import { IncomingMessage } from 'node:http'

/** Whether a request comes from a socket, and its body is still to be received. */
export function isUntouched(request: IncomingMessage): boolean {
  if (!(request instanceof IncomingMessage)) return false
  return !request.readableDidRead && (request as { body?: unknown }).body === undefined
}

/** A request of Node's, or of what stands in for one, as one of fetch; `undefined` where its `Host` or its path is none. */
export async function toRequest(
  { method = 'GET', url = '/', headers: given }: IncomingMessage,
  readBody: () => Promise<Buffer | undefined>,
): Promise<Request | undefined> {
  const target = URL.parse(url, `http://${given.host ?? 'localhost'}`)
  if (!target) return undefined
  const headers = new Headers()
  for (const [name, value] of Object.entries(given)) {
    for (const one of [value ?? []].flat()) headers.append(name, one)
  }
  const hasBody = method !== 'GET' && method !== 'HEAD'
  const body = hasBody ? await readBody() : undefined
  // Says how long the body was when it was sent, which may have been compressed or chunked.
  headers.delete('content-length')
  return new Request(target, {
    method,
    headers,
    body: body && new Uint8Array(body),
  })
}
