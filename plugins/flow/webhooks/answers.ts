import { isQueueError, type Reporter } from '../../../kernel/index.ts'
import { HTTP_STATUS } from '../../lib/http-status.ts'

const INTERNAL = { code: 'INTERNAL', message: 'Something went wrong here. Try again later.' }

interface Details {
  status?: number
  retryAfter?: number
  headers?: Record<string, string>
}

/**
 * `{ error: { code, message } }` with the status of the code. What is our own fault is reported and
 * not told. `details.status` of an error wins, `details.headers` come along, and `details.retryAfter` are milliseconds.
 */
export function answerError(error: unknown, reporter: Reporter): Response {
  const { status, retryAfter, headers: given } = (isQueueError(error) ? (error.details ?? {}) : {}) as Details
  const known = isQueueError(error) ? (status ?? HTTP_STATUS[error.code]) : undefined
  if (known === undefined) reporter.error('A webhook failed.', error)
  const told = isQueueError(error) && known !== undefined ? { code: error.code, message: error.message } : INTERNAL
  const headers = new Headers({ ...given, 'cache-control': 'no-store' })
  if (retryAfter !== undefined) headers.set('retry-after', String(Math.ceil(retryAfter / 1000)))
  return Response.json({ error: told }, { status: known ?? 500, headers })
}
