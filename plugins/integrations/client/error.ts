/** An error as the HTTP interface tells it (RFC 9457). */
export interface Problem {
  type?: string
  title?: string
  status?: number
  detail?: string
  code?: string
}

/**
 * What went wrong between this client and the server: `code` is that of the server's QueueError, or one of
 * `UNREACHABLE` (no answer), `NOT_A_STREAM` and `NOT_JSON` (something else answered), `INTERRUPTED` (a stream
 * that fell silent or was cut off), `OPTION_INVALID`.
 */
export class QueueClientError extends Error {
  override readonly name = 'QueueClientError'
  readonly code: string
  /** The status of the HTTP answer, where there was one. */
  readonly status: number | undefined
  /** Milliseconds to wait before another try, where the server says so. */
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
   * Whether something other than the API has responded: a page, or a refusal without a code, such as a proxy sends
   * while a new version is deployed. Not a 401 or 403, which whoever guards the API sends.
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

/** Timeout, too early, too many. */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429])

/** The error that an answer tells, as a problem or otherwise. Reads its body. */
export async function errorOf(response: Response): Promise<QueueClientError> {
  const text = await response.text().catch(() => '')
  const { code, detail, title } = problemIn(text)
  const message = detail ?? title ?? `The server answered ${response.status} ${response.statusText}.`.replace(' .', '.')
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

/** The error that a stream ends with when reconnecting would not mend it. */
export function errorOfProblem({ code = 'INTERNAL', detail, title, status }: Problem): QueueClientError {
  return new QueueClientError(code, detail ?? title ?? 'The server ended the stream.', { status })
}
