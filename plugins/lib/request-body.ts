import { QueueError } from '../../kernel/index.ts'

/**
 * The maximum number of bytes that the bodies of unauthenticated senders may take in this process together, or the size of four of the
 * largest bodies if that is more.
 */
const MAX_HELD = 64 * 1024 * 1024
let held = 0

/** Counts the bytes of a body for as long as it is in memory. */
export interface BodyHold {
  /** @throws QueueError `RATE_LIMITED` (503) if the bodies of unauthenticated senders take too much memory together */
  take(bytes: number, limit: number): void
  release(): void
}

/**
 * Counts the bodies of all unauthenticated senders together, because thousands of clients could fill the memory before any of them is
 * refused.
 *
 * @param known whether the sender is already authenticated. The body then does not count and is not refused because of others.
 */
export function holdBody(known: boolean): BodyHold {
  let own = 0
  return {
    take(bytes, limit) {
      if (known) return
      if (held + bytes > Math.max(MAX_HELD, 4 * limit)) throw busy()
      own += bytes
      held += bytes
    },
    release() {
      held -= own
      own = 0
    },
  }
}

/**
 * Reads the body of a request. Returns `undefined` if it has none.
 *
 * @param limit the largest size in bytes
 * @param option the option that sets the limit, named in the error, for example `webhooks.maxBody`
 * @param hold counts the bytes. The caller releases it. Default: bytes count only while they are received
 * @throws QueueError `PAYLOAD_TOO_LARGE` as soon as the body exceeds the limit; `REQUEST_INVALID` if the body is
 *   incomplete or takes longer than a minute; `RATE_LIMITED` if other bodies take too much memory
 */
export async function receiveBody(
  request: Request,
  limit: number,
  option: string,
  hold?: BodyHold,
): Promise<Buffer<ArrayBuffer> | undefined> {
  if (!request.body) return undefined
  const tooLarge = (): QueueError =>
    new QueueError('PAYLOAD_TOO_LARGE', `The body is larger than ${limit} bytes, the limit that ${option} sets.`)
  if (Number(request.headers.get('content-length')) > limit) throw tooLarge()
  const chunks: Uint8Array[] = []
  let size = 0
  const bytes = hold ?? holdBody(false)
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
      bytes.take(value!.byteLength, limit)
      chunks.push(value!)
    }
  } catch (error) {
    // Stops receiving the rest of the body.
    void reader.cancel().catch(() => {})
    throw error
  } finally {
    clearTimeout(timer)
    if (!hold) bytes.release()
  }
}

/** How long a client may take to send a body, in milliseconds. Applies to every server. */
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

function busy(): QueueError {
  const message = 'Other requests that are not yet authenticated use too much memory. Try again later.'
  return new QueueError('RATE_LIMITED', message, { details: { status: 503, retryAfter: 1000 } })
}
