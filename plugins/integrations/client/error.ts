/** An error in a response of the HTTP interface (RFC 9457). */
export interface Problem {
  type?: string
  title?: string
  status?: number
  detail?: string
  code?: string
}

/**
 * An error of the client. `code` is the code of the server's QueueError, or one of `UNREACHABLE` (no response),
 * `NOT_A_STREAM` and `NOT_JSON` (something other than the API responded), `INTERRUPTED` (the stream was silent for too
 * long or was cut off) and `OPTION_INVALID`.
 */
export class QueueClientError extends Error {
  override readonly name = 'QueueClientError'
  readonly code: string
  /** The status of the HTTP response, if there was one. */
  readonly status: number | undefined
  /** Milliseconds to wait before the next attempt, if the server sent them. */
  readonly retryAfter: number | undefined

  constructor(
    code: string,
    message: string,
    { status, retryAfter, cause }: { status?: number; retryAfter?: number; cause?: unknown } = {},
  ) {
    super(message, { cause })
    this.code = code
    this.status = status
    this.retryAfter = retryAfter
  }

  /**
   * Whether something other than the API responded, with a page or with an error without a code. A proxy does this
   * while a new version is deployed. 401 and 403 do not count, because a gateway in front of the API sends them.
   */
  get foreign(): boolean {
    if (this.code === 'NOT_A_STREAM' || this.code === 'NOT_JSON') return true
    const { status = 0 } = this
    return this.code === `HTTP_${status}` && status >= 400 && status < 500 && ![401, 403, 407].includes(status)
  }

  /** Whether the same request may succeed later. */
  get passing(): boolean {
    if (this.code === 'OPTION_INVALID' || this.foreign) return false
    return this.status === undefined || this.status >= 500 || PASSING.has(this.status)
  }
}

/** The statuses for timeout, too early, and too many requests. */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429])

/** Returns the error of a response, with or without a problem document. Reads the body. */
export async function responseError(response: Response): Promise<QueueClientError> {
  const text = await response.text().catch(() => '')
  const { code, detail, title } = problemIn(text)
  const message =
    detail ?? title ?? `The server responded with ${response.status} ${response.statusText}.`.replace(' .', '.')
  const seconds = Number(response.headers.get('retry-after') ?? NaN)
  const retryAfter = seconds >= 0 ? seconds * 1000 : undefined
  return new QueueClientError(code ?? `HTTP_${response.status}`, message, { status: response.status, retryAfter })
}

function problemIn(text: string): Problem {
  try {
    const problem = JSON.parse(text) as unknown
    return typeof problem === 'object' && problem !== null ? problem : {}
  } catch {
    return {}
  }
}

/** Returns the error of a stream that a reconnection cannot fix. */
export function errorOfProblem({ code = 'INTERNAL', detail, title, status }: Problem): QueueClientError {
  return new QueueClientError(code, detail ?? title ?? 'The server ended the stream.', { status })
}
