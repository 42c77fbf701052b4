import { QueueError } from '../../kernel/index.ts'

/**
 * Receives the body of a request; `undefined` when it has none.
 *
 * @param limit bytes
 * @param option how the error names the limit, for example `webhooks.maxBody`
 * @throws QueueError `PAYLOAD_TOO_LARGE` as soon as there is more; `REQUEST_INVALID` when it breaks off or takes longer than a minute
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
  const reader = request.body.getReader()
  let late = false
  const timer = setTimeout(() => {
    late = true
    void reader.cancel().catch(() => {})
  }, PATIENCE)
  try {
    for (;;) {
      const { value, done } = (await reader.read().catch(brokeOff)) as { value?: Uint8Array; done: boolean }
      if (late) throw tooSlow()
      if (done) return Buffer.concat(chunks)
      size += value!.byteLength
      if (size > limit) throw tooLarge()
      chunks.push(value!)
    }
  } catch (error) {
    // So that nothing more of it is received.
    void reader.cancel().catch(() => {})
    throw error
  } finally {
    clearTimeout(timer)
  }
}

/** How long a client may take to send a body, in milliseconds, whatever server there is. */
const PATIENCE = 60_000

/** Its client has gone, or what was sent is no HTTP: nothing that anybody here has to hear of. */
function brokeOff(cause: unknown): never {
  throw new QueueError('REQUEST_INVALID', 'The body broke off before its end.', { cause, details: { status: 400 } })
}

function tooSlow(): QueueError {
  const message = `The body has not arrived within ${PATIENCE} ms.`
  return new QueueError('REQUEST_INVALID', message, { details: { status: 408, headers: { connection: 'close' } } })
}
