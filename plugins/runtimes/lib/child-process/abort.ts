import { timerDelay, toError } from '../../../../kernel/index.ts'
import type { CancelParams } from './protocol.ts'

interface AbortSteps {
  /** Now, while the process can still be looked at. */
  note(): void
  cancel(reason: CancelParams['reason']): void
  terminate(): void
  /** Milliseconds between the two. */
  grace: number
}

/** Tells a handler to stop when its signal aborts, and ends its process when it does not. Answers what stops that. */
export function watchAbort(signal: AbortSignal, { note, cancel, terminate, grace }: AbortSteps): () => void {
  let timer: NodeJS.Timeout | undefined
  function onAbort(): void {
    const { message, code = 'JOB_CANCELLED' } = toError(signal.reason) as Error & { code?: string }
    note()
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
