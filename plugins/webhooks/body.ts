import { QueueError } from '../../kernel/index.ts'

/**
 * The same request with its body received.
 *
 * @throws QueueError `PAYLOAD_TOO_LARGE` as soon as there is more than `limit` bytes
 */
export async function withBody(request: Request, limit: number): Promise<Request> {
  if (!request.body) return request
  if (Number(request.headers.get('content-length')) > limit) throw tooLarge(limit)
  const chunks: Uint8Array[] = []
  let size = 0
  // Leaving the loop cancels the body, so that nothing more of it is received.
  for await (const chunk of request.body as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength
    if (size > limit) throw tooLarge(limit)
    chunks.push(chunk)
  }
  const { url, method, headers, signal } = request
  return new Request(url, { method, headers, signal, body: Buffer.concat(chunks) })
}

function tooLarge(limit: number): QueueError {
  return new QueueError('PAYLOAD_TOO_LARGE', `The body is larger than ${limit} bytes, which is webhooks.maxBody.`)
}
