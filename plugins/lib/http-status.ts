import type { ErrorCode } from '../../kernel/index.ts'

/**
 * The HTTP status for each error that the sender of a webhook can correct or retry. The HTTP API has a longer list (`http/problems.ts`).
 */
export const HTTP_STATUS: Readonly<Partial<Record<ErrorCode, number>>> = {
  REQUEST_INVALID: 400,
  OPTION_INVALID: 400,
  VALUE_UNSUPPORTED: 400,
  WEBHOOK_REFUSED: 401,
  NAME_RESERVED: 403,
  WEBHOOK_UNKNOWN: 404,
  TRIGGER_UNKNOWN: 404,
  RUN_NOT_FOUND: 404,
  METHOD_UNKNOWN: 405,
  RUN_ENDED: 409,
  JOB_STATE: 409,
  ENQUEUE_VETOED: 409,
  PAYLOAD_TOO_LARGE: 413,
  VALIDATION_FAILED: 422,
  RATE_LIMITED: 429,
  QUEUE_FULL: 503,
  TRIGGER_PAUSED: 503,
  KERNEL_CLOSED: 503,
}
