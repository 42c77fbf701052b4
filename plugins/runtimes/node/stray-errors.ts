import { toError, tryUseRunContext } from '../../../kernel/index.ts'

/** Kernels of this process that want stray errors contained: the process has one listener for all. */
let kernels = 0

/**
 * Catches what a handler's forgotten callbacks and promises throw. Node hands such an error over in
 * the async context it arose in, which tells whose it is; the attempt fails if it still runs.
 * Errors of anybody else end the process, as they would without this.
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
      `Job "${job.name}" (${job.id}) left something running that failed (${origin}): ${error.message}`,
      error,
    )
    kernel.abort({ runId, jobId: job.id }, error)
  } else if (process.listenerCount('uncaughtException') === 1) {
    process.stderr.write(`${error.stack ?? error.message}\n`)
    process.exit(1)
  }
}
