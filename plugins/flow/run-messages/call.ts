import { QueueError, toError, type ErrorCode, type Kernel } from '../../../kernel/index.ts'
import { withinTime } from '../../lib/within-time.ts'

/**
 * Calls a function of the application for a request, for at most `timeout` milliseconds.
 *
 * @param what names the function in errors: `Query "total" of flow "order"`
 * @throws QueueError with `code`, whose cause is the error of the function
 */
export async function callWithin<T>(
  { clock }: Kernel,
  { what, timeout, code }: { what: string; timeout: number; code: ErrorCode },
  fn: () => T | Promise<T>,
): Promise<T> {
  const late = (): QueueError =>
    new QueueError(code, `${what} did not settle within ${timeout} ms. Make it faster, or raise "runMessages.timeout".`)
  const running = Promise.resolve().then(fn)
  try {
    return await withinTime(clock, timeout, running, late)
  } catch (cause) {
    if (cause instanceof QueueError && cause.code === code) throw cause
    throw new QueueError(code, `${what} failed: ${toError(cause).message}`, { cause })
  }
}
