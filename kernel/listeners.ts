import type { Reporter } from '../contracts/index.ts'
import { isPromise } from './promises.ts'
import { redactError, redactText } from './redact.ts'

/** Calls a listener. Reports its errors and rejections, and never fails. */
export function callListener(reporter: Reporter, message: string, call: () => unknown): void {
  const failed = (error: unknown): void => reporter.error(message, error)
  try {
    const returned = call()
    if (isPromise(returned)) void returned.then(undefined, failed)
  } catch (error) {
    failed(error)
  }
}

const SILENT: Reporter = { warn() {}, error() {} }

/**
 * Returns a reporter that removes credentials from everything and passes it to another reporter. It never throws, even if the other
 * reporter does.
 */
export function safeReporter(reporter: Reporter): Reporter {
  const pass =
    (level: keyof Reporter) =>
    (message: string, detail?: unknown): void => {
      // A console would print `undefined`.
      const details = detail === undefined ? [] : [detail]
      callListener(SILENT, '', () => reporter[level](redactText(message), ...details.map(redactError)))
    }
  return { warn: pass('warn'), error: pass('error') }
}
