import { isQueueError, type ErrorCode, type Reporter } from '../../kernel/index.ts'

/** The status of what the sender can do something about, or may try again later. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  WEBHOOK_INVALID: 400,
  OPTION_INVALID: 400,
  VALUE_UNSUPPORTED: 400,
  WEBHOOK_REFUSED: 401,
  WEBHOOK_UNKNOWN: 404,
  TRIGGER_UNKNOWN: 404,
  RUN_NOT_FOUND: 404,
  RUN_ENDED: 409,
  JOB_STATE: 409,
  ENQUEUE_VETOED: 409,
  PAYLOAD_TOO_LARGE: 413,
  VALIDATION_FAILED: 422,
  RATE_LIMITED: 429,
  QUEUE_FULL: 503,
  KERNEL_CLOSED: 503,
}

const INTERNAL = { code: 'INTERNAL', message: 'Something went wrong here. Try again later.' }

/**
 * `{ error: { code, message } }` with the status of the code. What is our own fault is reported and
 * not told. `details.status` of an error wins, and `details.retryAfter` are milliseconds.
 */
export function answerError(error: unknown, reporter: Reporter): Response {
  const { status, retryAfter } = (isQueueError(error) ? (error.details ?? {}) : {}) as Record<
    string,
    number | undefined
  >
  const known = isQueueError(error) ? (status ?? STATUS[error.code]) : undefined
  if (known === undefined) reporter.error('A webhook failed.', error)
  const told = isQueueError(error) && known !== undefined ? { code: error.code, message: error.message } : INTERNAL
  const headers = new Headers({ 'cache-control': 'no-store' })
  if (retryAfter !== undefined) headers.set('retry-after', String(Math.ceil(retryAfter / 1000)))
  return Response.json({ error: told }, { status: known ?? 500, headers })
}
