import type { Reporter } from '../contracts/index.ts'
import { isPromise } from './hooks.ts'

/** Calls a listener. What it throws, or rejects with, is reported and harms nobody. */
export function callListener(reporter: Reporter, message: string, call: () => unknown): void {
  const failed = (error: unknown): void => reporter.error(message, error)
  try {
    const returned = call()
    if (isPromise(returned)) void returned.then(undefined, failed)
  } catch (error) {
    failed(error)
  }
}

/** A reporter that never throws, whatever the one it passes reports to does. */
export function safeReporter(reporter: Reporter): Reporter {
  const silent: Reporter = { warn() {}, error() {} }
  return {
    warn: (message, detail) => callListener(silent, '', () => reporter.warn(message, detail)),
    error: (message, detail) => callListener(silent, '', () => reporter.error(message, detail)),
  }
}
