import { QueueError } from '../../../../kernel/index.ts'

/** After this many failed starts in a row, the worker pauses. */
const FAILURES = 3
/** Pauses in milliseconds. Each further failure doubles the pause. */
const FIRST_PAUSE = 1000
const MAX_PAUSE = 60_000

/** A circuit breaker. It prevents a worker whose processes do not start from starting one for each job. */
export function createBreaker(worker: string) {
  let failures = 0
  let pausedUntil = 0
  let lastError: Error | undefined

  return {
    /** @throws QueueError `RUNTIME_START_FAILED` during a pause. After the pause, one start is allowed */
    check(): void {
      const left = pausedUntil - Date.now()
      if (failures < FAILURES) return
      if (left <= 0) return void (pausedUntil = Date.now() + pauseAfter(failures))
      const message = `Worker "${worker}" failed to start ${failures} times in a row, and pauses for ${left} ms. The last error was: ${lastError!.message}`
      throw new QueueError('RUNTIME_START_FAILED', message, { cause: lastError })
    },
    /** Whether the last starts have failed, so that no process is started in advance. */
    get open(): boolean {
      return failures >= FAILURES
    },
    recordFailure(error: Error): void {
      lastError = error
      if (++failures >= FAILURES) pausedUntil = Date.now() + pauseAfter(failures)
    },
    recordSuccess(): void {
      failures = 0
    },
  }
}
export type Breaker = ReturnType<typeof createBreaker>

function pauseAfter(failures: number): number {
  return Math.min(MAX_PAUSE, FIRST_PAUSE * 2 ** (failures - FAILURES))
}
