import { timerDelay, toError } from '../../../../kernel/index.ts'
import type { CancelParams } from './protocol.ts'

interface AbortSteps {
  /** Called first, to record the usage while the process still exists. */
  record(): void
  /** Called next, to ask the handler to stop. */
  cancel(reason: CancelParams['reason']): void
  /** Called last, if the handler has not stopped. */
  terminate(): void
  /** Milliseconds between `cancel` and `terminate`. */
  grace: number
}

/**
 * Asks a handler to stop when its signal aborts, and ends its process if it does not. Returns a function that stops
 * watching.
 */
export function watchAbort(signal: AbortSignal, { record, cancel, terminate, grace }: AbortSteps): () => void {
  let timer: NodeJS.Timeout | undefined
  function onAbort(): void {
    const { message, code = 'JOB_CANCELLED' } = toError(signal.reason) as Error & { code?: string }
    record()
    cancel({ code, message })
    timer = setTimeout(terminate, timerDelay(grace))
  }
  if (signal.aborted) onAbort()
  else signal.addEventListener('abort', onAbort, { once: true })
  return () => {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
  }
}
