import type { CleanPolicy, RunOutcome } from '../../../../kernel/index.ts'

/** Milliseconds between two sweeps of an outcome. */
const PAUSE = 200

/** Milliseconds that closing waits for a sweep that is under way. */
const CLOSE_LIMIT = 2000

export interface Sweeps {
  run(policy: CleanPolicy): Promise<number>
  /** Sweeps no more; resolves when none is under way, or after two seconds, since the store may be away. */
  close(): Promise<void>
}

/**
 * One sweep of an outcome at a time in a process: those asked for meanwhile become one, with the newest
 * bounds, since what is in excess would only be found again. What it forgot is told to the first.
 */
export function onePerOutcome(sweep: (policy: CleanPolicy) => Promise<number>): Sweeps {
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
      // The more has ended, the less it costs to find out what goes.
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
      const over = Promise.withResolvers<void>()
      const timer = setTimeout(over.resolve, CLOSE_LIMIT)
      await Promise.race([Promise.allSettled(last.values()), over.promise])
      clearTimeout(timer)
    },
  }
}
