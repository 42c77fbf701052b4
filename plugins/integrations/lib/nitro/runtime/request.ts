import { IncomingMessage } from 'node:http'
import { parseTarget, UNSUPPORTED_METHOD } from '../../request-target.ts'

/** Returns whether a request comes from a socket and its body has not been read. */
export function isUntouched(request: IncomingMessage): boolean {
  if (!(request instanceof IncomingMessage)) return false
  return !request.readableDidRead && (request as { body?: unknown }).body === undefined
}

/** Converts a Node request, or its substitute, to a web-standard request. Returns `undefined` if it cannot have its `Host`, path or method. */
export async function toRequest(
  { method = 'GET', url = '/', headers: given }: IncomingMessage,
  readBody: () => Promise<Buffer | undefined>,
): Promise<Request | undefined> {
  const target = parseTarget(url, `http://${given.host ?? 'localhost'}`)
  if (!target || UNSUPPORTED_METHOD.test(method)) return undefined
  const headers = new Headers()
  for (const [name, value] of Object.entries(given)) {
    for (const one of [value ?? []].flat()) headers.append(name, one)
  }
  const hasBody = method !== 'GET' && method !== 'HEAD'
  const body = hasBody ? await readBody() : undefined
  // This header has the length of the sent body, which may have been compressed or chunked.
  headers.delete('content-length')
  return new Request(target, {
    method,
    headers,
    body: body && new Uint8Array(body),
  })
}
