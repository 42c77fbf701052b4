import { QueueError } from '../../kernel/index.ts'

/**
 * Reads the body of a request. Returns `undefined` if it has none.
 *
 * @param limit the largest size in bytes
 * @param option the option that sets the limit, named in the error, for example `webhooks.maxBody`
 * @throws QueueError `PAYLOAD_TOO_LARGE` as soon as the body exceeds the limit; `REQUEST_INVALID` if the body is
 *   incomplete or takes longer than a minute
 */
export async function receiveBody(
  request: Request,
  limit: number,
  option: string,
): Promise<Buffer<ArrayBuffer> | undefined> {
  if (!request.body) return undefined
  const tooLarge = (): QueueError =>
    new QueueError('PAYLOAD_TOO_LARGE', `The body is larger than ${limit} bytes, the limit that ${option} sets.`)
  if (Number(request.headers.get('content-length')) > limit) throw tooLarge()
  const chunks: Uint8Array[] = []
  let size = 0
  const reader = request.body.getReader()
  let late = false
  const timer = setTimeout(() => {
    late = true
    void reader.cancel().catch(() => {})
  }, BODY_TIMEOUT)
  try {
    for (;;) {
      const { value, done } = (await reader.read().catch(throwIncomplete)) as { value?: Uint8Array; done: boolean }
      if (late) throw tooSlow()
      if (done) return Buffer.concat(chunks)
      size += value!.byteLength
      if (size > limit) throw tooLarge()
      chunks.push(value!)
    }
  } catch (error) {
    // Stops receiving the rest of the body.
    void reader.cancel().catch(() => {})
    throw error
  } finally {
    clearTimeout(timer)
  }
}

/** How long a client may take to send a body, in milliseconds. Applies with every server. */
const BODY_TIMEOUT = 60_000

/** The client has disconnected or has sent invalid HTTP. That is not a fault of this server, so nothing is reported. */
function throwIncomplete(cause: unknown): never {
  throw new QueueError(
    'REQUEST_INVALID',
    'The body is incomplete: the connection ended before the whole body arrived.',
    { cause, details: { status: 400 } },
  )
}

function tooSlow(): QueueError {
  const message = `The body did not arrive within ${BODY_TIMEOUT} ms.`
  return new QueueError('REQUEST_INVALID', message, { details: { status: 408, headers: { connection: 'close' } } })
}
