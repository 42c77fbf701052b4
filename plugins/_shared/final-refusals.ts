import { isQueueError } from '../../kernel/index.ts'

const FINAL: ReadonlySet<string> = new Set([
  'VALIDATION_FAILED',
  'VALUE_UNSUPPORTED',
  'PAYLOAD_TOO_LARGE',
  'ENQUEUE_VETOED',
  'OPTION_INVALID',
  'OPTION_UNSUPPORTED',
])

/** A refusal of what was to be enqueued that will be the same next time. */
export function isFinalRefusal(error: unknown): boolean {
  return isQueueError(error) && FINAL.has(error.code)
}
