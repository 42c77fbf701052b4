import type { Kernel, StuckHandler } from '../contracts/index.ts'
import type { Attempt } from './attempt.ts'

/** Records handlers that still run although their attempts have ended. They occupy their slots, so operators need to know about them. */
export function createStuckHandlers(kernel: Kernel) {
  const stuck = new Map<Attempt, StuckHandler>()
  const stops = new Set<() => void>()

  /** Watches a handler whose attempt has been settled. */
  function watch(attempt: Attempt, handling: Promise<unknown>): void {
    const since = kernel.clock.now()
    const grace = kernel.config.handlerGrace
    const stop = kernel.clock.setTimeout(() => {
      stops.delete(stop)
      report(attempt, since, grace)
    }, grace)
    stops.add(stop)
    const over = (): void => {
      stop()
      stops.delete(stop)
      stuck.delete(attempt)
    }
    handling.then(over, over)
  }

  function report(attempt: Attempt, since: number, grace: number): void {
    const { id, queue, name, runId } = attempt.job
    const worker = attempt.worker.id
    stuck.set(attempt, { id, queue, name, runId, worker, since })
    const what = `The handler of worker "${worker}" is still running ${grace} ms after its attempt at job "${id}" ended`
    const why = attempt.aborted ? ` (${attempt.aborted.message})` : ''
    const hint = 'It keeps its slot until it returns. Let it react to ctx.signal, or run it in a separate process.'
    kernel.reporter.warn(`${what}${why}. ${hint}`)
  }

  return {
    watch,
    list: (): StuckHandler[] => [...stuck.values()],
    close(): void {
      for (const stop of stops) stop()
      stops.clear()
    },
  }
}
