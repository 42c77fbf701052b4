import type { Reporter } from '../contracts/index.ts'
import { isPromise } from './promises.ts'

/** Calls a listener. Reports what it throws or rejects with, and never fails. */
export function callListener(reporter: Reporter, message: string, call: () => unknown): void {
  const failed = (error: unknown): void => reporter.error(message, error)
  try {
    const returned = call()
    if (isPromise(returned)) void returned.then(undefined, failed)
  } catch (error) {
    failed(error)
  }
}

/** Returns a reporter that never throws, even if the reporter behind it does. */
export function safeReporter(reporter: Reporter): Reporter {
  const silent: Reporter = { warn() {}, error() {} }
  return {
    warn: (message, detail) => callListener(silent, '', () => reporter.warn(message, detail)),
    error: (message, detail) => callListener(silent, '', () => reporter.error(message, detail)),
  }
}
