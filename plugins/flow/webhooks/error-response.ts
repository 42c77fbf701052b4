import { isQueueError, type Reporter } from '../../../kernel/index.ts'
import { HTTP_STATUS } from '../../lib/http-status.ts'

const INTERNAL = { code: 'INTERNAL', message: 'Something went wrong here. Try again later.' }

interface Details {
  status?: number
  retryAfter?: number
  headers?: Record<string, string>
}

/**
 * Returns `{ error: { code, message } }` with the status of the code. Internal errors are logged, and the response does
 * not describe them. `details.status` of an error overrides the status, `details.headers` are added, and
 * `details.retryAfter`, in milliseconds, becomes `Retry-After`.
 */
export function errorResponse(error: unknown, reporter: Reporter): Response {
  const { status, retryAfter, headers: given } = (isQueueError(error) ? (error.details ?? {}) : {}) as Details
  const known = isQueueError(error) ? (status ?? HTTP_STATUS[error.code]) : undefined
  if (known === undefined) reporter.error('A webhook failed.', error)
  const shown = isQueueError(error) && known !== undefined ? { code: error.code, message: error.message } : INTERNAL
  const headers = new Headers({ ...given, 'cache-control': 'no-store' })
  if (retryAfter !== undefined) headers.set('retry-after', String(Math.ceil(retryAfter / 1000)))
  return Response.json({ error: shown }, { status: known ?? 500, headers })
}
