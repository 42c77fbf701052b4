import { QueueError } from '../../kernel/index.ts'

/**
 * Receives the body of a request; `undefined` when it has none.
 *
 * @param limit bytes
 * @param option how the error names the limit, for example `webhooks.maxBody`
 * @throws QueueError `PAYLOAD_TOO_LARGE` as soon as there is more
 */
export async function receiveBody(
  request: Request,
  limit: number,
  option: string,
): Promise<Buffer<ArrayBuffer> | undefined> {
  if (!request.body) return undefined
  const tooLarge = (): QueueError =>
    new QueueError('PAYLOAD_TOO_LARGE', `The body is larger than ${limit} bytes, which is ${option}.`)
  if (Number(request.headers.get('content-length')) > limit) throw tooLarge()
  const chunks: Uint8Array[] = []
  let size = 0
  // Leaving the loop cancels the body, so that nothing more of it is received.
  for await (const chunk of request.body as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength
    if (size > limit) throw tooLarge()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
