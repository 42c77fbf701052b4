/**
 * Calls what an application has handed in, which may return or throw anything. Returns a promise that never rejects
 * where the callback returns one. What it throws is reported and harms neither the stream nor the process.
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

/** As a browser reports the error of an event listener; Node would end its process. */
function report(thrown: unknown): void {
  const { reportError } = globalThis as { reportError?: (error: unknown) => void }
  if (reportError) reportError(thrown)
  else console.error('A callback of nuxt-queue/client failed.', thrown)
}
