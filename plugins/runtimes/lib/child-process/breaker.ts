import { QueueError } from '../../../../kernel/index.ts'

/** After so many failed starts in a row a worker rests. */
const FAILURES = 3
const FIRST_REST = 1000
const LONGEST_REST = 60_000

/** Keeps a worker whose processes do not start from starting one for each of its jobs. */
export function createBreaker(worker: string) {
  let failures = 0
  let restsUntil = 0
  let last: Error | undefined

  return {
    /** @throws QueueError `RUNTIME_START_FAILED` while the worker rests; then one start is let through */
    check(): void {
      const left = restsUntil - Date.now()
      if (failures < FAILURES) return
      if (left <= 0) return void (restsUntil = Date.now() + restOf(failures))
      const message = `Worker "${worker}" failed to start ${failures} times in a row and rests for ${left} ms. The last time: ${last!.message}`
      throw new QueueError('RUNTIME_START_FAILED', message, { cause: last })
    },
    get open(): boolean {
      return failures >= FAILURES
    },
    failed(error: Error): void {
      last = error
      if (++failures >= FAILURES) restsUntil = Date.now() + restOf(failures)
    },
    started(): void {
      failures = 0
    },
  }
}
export type Breaker = ReturnType<typeof createBreaker>

function restOf(failures: number): number {
  return Math.min(LONGEST_REST, FIRST_REST * 2 ** (failures - FAILURES))
}
