import { toError, tryUseRunContext } from '../../../kernel/index.ts'

/** The number of kernels in this process that contain stray errors. They share one listener. */
let kernels = 0

/**
 * Catches errors of callbacks and promises that a handler left running. Node reports such an error in the async context
 * of its origin, which identifies the job. If the attempt is still running, it fails. All other errors end the
 * process, as they would without this listener. Returns a function that stops catching errors.
 */
export function containStrayErrors(): () => void {
  if (kernels++ === 0) process.on('uncaughtException', onError)
  return () => {
    if (--kernels === 0) process.off('uncaughtException', onError)
  }
}

function onError(thrown: unknown, origin: NodeJS.UncaughtExceptionOrigin): void {
  const error = toError(thrown)
  const ctx = tryUseRunContext()
  if (ctx) {
    const { kernel, runId, job } = ctx
    kernel.reporter.error(
      `Job "${job.name}" (${job.id}) left code running that failed (${origin}): ${error.message}`,
      error,
    )
    kernel.abort({ runId, jobId: job.id }, error)
  } else if (process.listenerCount('uncaughtException') === 1) {
    process.stderr.write(`${error.stack ?? error.message}\n`)
    process.exit(1)
  }
}
