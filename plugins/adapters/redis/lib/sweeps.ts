import type { CleanPolicy, RunOutcome } from '../../../../kernel/index.ts'

/** Milliseconds between two sweeps of an outcome. */
const PAUSE = 200

/** How long `close` waits for a running sweep, in milliseconds. */
const CLOSE_TIMEOUT = 2000

export interface Sweeps {
  run(policy: CleanPolicy): Promise<number>
  /** Starts no more sweeps. Resolves when none is running, or after two seconds, because the store may be unavailable. */
  close(): Promise<void>
}

/**
 * Runs at most one sweep per outcome at a time in this process. Calls during a sweep are merged into one following sweep with the
 * bounds of the newest call. The first of the merged calls resolves with the number of deleted items, the others with 0.
 */
export function coalesceSweeps(sweep: (policy: CleanPolicy) => Promise<number>): Sweeps {
  let closed = false
  const last = new Map<RunOutcome, Promise<unknown>>()
  const next = new Map<RunOutcome, { policy: CleanPolicy; done: Promise<number> }>()
  const run = (policy: CleanPolicy): Promise<number> => {
    const { outcome } = policy
    if (closed) return Promise.resolve(0)
    const waiting = next.get(outcome)
    if (waiting) {
      waiting.policy = policy
      return waiting.done.then(() => 0)
    }
    const own = { policy, done: Promise.resolve(0) }
    const start = async (): Promise<number> => {
      // The cost per item of finding the items to delete is lower if more items have ended.
      await new Promise((resolve) => setTimeout(resolve, PAUSE))
      next.delete(outcome)
      return closed ? 0 : sweep(own.policy)
    }
    const running = last.get(outcome)
    if (running) next.set(outcome, own)
    own.done = running ? running.then(start, start) : sweep(policy)
    const settled: Promise<void> = own.done.then(forget, forget)
    function forget(): void {
      if (last.get(outcome) === settled) last.delete(outcome)
    }
    last.set(outcome, settled)
    return own.done
  }
  return {
    run,
    async close() {
      closed = true
      const timeout = Promise.withResolvers<void>()
      const timer = setTimeout(timeout.resolve, CLOSE_TIMEOUT)
      await Promise.race([Promise.allSettled(last.values()), timeout.promise])
      clearTimeout(timer)
    },
  }
}
