import { toError, tryUseRunContext, type Reporter } from '../../kernel/index.ts'

/**
 * Catches what a handler's forgotten callbacks and promises throw. Node hands such an error over in
 * the async context it arose in, which tells whose it is; the attempt fails if it still runs.
 * Errors of anybody else end the process, as they would without this.
 */
export function containStrayErrors(reporter: Reporter): () => void {
  const onError = (thrown: unknown, origin: NodeJS.UncaughtExceptionOrigin): void => {
    const ctx = tryUseRunContext()
    if (!ctx) {
      if (process.listenerCount('uncaughtException') > 1) return
      process.stderr.write(`${toError(thrown).stack}\n`)
      process.exit(1)
    }
    const { kernel, runId, job } = ctx
    const error = toError(thrown)
    reporter.error(
      `Job "${job.name}" (${job.id}) left something running that failed (${origin}): ${error.message}`,
      error,
    )
    kernel.abort({ runId, jobId: job.id }, error)
  }
  process.on('uncaughtException', onError)
  return () => void process.off('uncaughtException', onError)
}
