import { STATUS_CODES } from 'node:http'
import { isQueueError, QueueError, redactText, type ErrorCode, type Reporter } from '../../../kernel/index.ts'
import { HTTP_STATUS } from '../../lib/http-status.ts'
import { pageOf } from '../lib/error-page.ts'

/** An error in a response of this interface (RFC 9457). */
export interface Problem {
  type: string
  title: string
  status: number
  detail: string
  /** The code of the error, or `INTERNAL`. */
  code: string
  /** The section of the documentation about the code, as a path in the package. */
  docs?: string
}

/** The HTTP status for each error of the HTTP API. It has more codes than webhooks have, because its callers name workers, flows and jobs. */
export const STATUS: Readonly<Partial<Record<ErrorCode, number>>> = {
  ...HTTP_STATUS,
  OPTION_UNSUPPORTED: 400,
  REQUEST_FORBIDDEN: 403,
  ROUTE_UNKNOWN: 404,
  JOB_NOT_FOUND: 404,
  WORKER_UNKNOWN: 404,
  FLOW_UNKNOWN: 404,
  WAIT_UNKNOWN: 404,
  QUERY_UNKNOWN: 404,
  UPDATE_UNKNOWN: 404,
  ERROR_UNKNOWN: 404,
  BULK_UNKNOWN: 404,
  SCHEDULE_UNKNOWN: 404,
  WAIT_OVER: 409,
  UPDATE_REFUSED: 409,
  // The caller may be able to resume the trigger, unlike a sender, which can only wait.
  TRIGGER_PAUSED: 409,
  FLOW_INVALID: 409,
  EVENTS_CONFLICT: 409,
  EVENTS_TRIMMED: 410,
  JOB_FORGOTTEN: 410,
  MEDIA_TYPE_UNKNOWN: 415,
  SCHEDULE_INVALID: 422,
  TRIGGER_INVALID: 422,
  CONNECTIONS_FULL: 503,
  AUTHORIZE_TIMEOUT: 503,
}

const INTERNAL = { status: 500, code: 'INTERNAL', detail: 'Something went wrong here. Try again later.' }
export const PROBLEM_TYPE = 'application/problem+json'

/** Returns an error that does not name the path, so that missing and hidden routes look the same. */
export function routeUnknown(): QueueError {
  return new QueueError('ROUTE_UNKNOWN', 'Nothing answers here.')
}

/** Returns the error for a path that does not support a method. */
export function methodUnknown(method: string, known: readonly string[]): QueueError {
  const allow = known.join(', ')
  return new QueueError('METHOD_UNKNOWN', `This path supports ${allow}; got ${method}.`, {
    details: { headers: { allow } },
  })
}

/** Describes an error for the caller. An internal error is reported but not shown to the caller. */
export function problemOf(error: unknown, reporter: Reporter): Problem {
  const status = isQueueError(error) ? statusOf(error) : undefined
  if (status === undefined) reporter.error('A request to the HTTP interface failed.', error)
  const title = STATUS_CODES[status ?? INTERNAL.status] ?? 'Error'
  if (status === undefined) return { type: 'about:blank', title, ...INTERNAL }
  const { code } = error as QueueError
  return { type: 'about:blank', title, status, code, detail: messageOf(error), docs: pageOf(code) }
}

/** Returns the response for an error. It includes `details.headers`, and `details.retryAfter` (milliseconds) as a header. */
export function problemResponse(error: unknown, reporter: Reporter): Response {
  const problem = problemOf(error, reporter)
  const { headers: given, retryAfter } = (isQueueError(error) ? (error.details ?? {}) : {}) as {
    headers?: Record<string, string>
    retryAfter?: number
  }
  const headers = new Headers({ ...given, 'content-type': PROBLEM_TYPE, 'cache-control': 'no-store' })
  if (retryAfter !== undefined) headers.set('retry-after', String(Math.ceil(retryAfter / 1000)))
  return new Response(JSON.stringify(problem), { status: problem.status, headers })
}

/**
 * Gives every `QueueError` the `statusCode` that h3, Nitro and Nuxt respond with, so that a refusal in a route of the application is
 * not a 500, and the section of the documentation about its code.
 */
export function extendErrors(): void {
  Object.defineProperties(QueueError.prototype, {
    statusCode: {
      configurable: true,
      get(this: QueueError) {
        return statusOf(this)
      },
    },
    docs: {
      configurable: true,
      get(this: QueueError) {
        return pageOf(this.code)
      },
    },
  })
}

function statusOf({ code, details }: QueueError): number | undefined {
  return typeof details?.status === 'number' ? details.status : STATUS[code]
}

function messageOf(error: unknown): string {
  return redactText((error as Error).message)
}
