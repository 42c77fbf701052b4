/**
 * Calls a callback of the application, which may return or throw anything. If the callback returns a promise, returns a promise that never
 * rejects. An error is reported and affects neither the stream nor the process.
 */
export function safely(call: () => unknown): void | Promise<void> {
  try {
    const returned = call()
    if (isThenable(returned)) return Promise.resolve(returned).then(() => {}, report)
  } catch (thrown) {
    report(thrown)
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}

/** Reports an error as a browser reports the error of an event listener. Node would end its process. */
function report(thrown: unknown): void {
  const { reportError } = globalThis as { reportError?: (error: unknown) => void }
  if (reportError) reportError(thrown)
  else console.error('A callback of nuxt-queue/client failed.', thrown)
}
