/** The maximum number of prefetched jobs, and the longest duration of a poll to compensate for, in milliseconds. */
const MAX_PREFETCH = 512
const MAX_POLL_DURATION = 33
/** Two calls are in flight at the same time. In the meantime, the jobs of a third call are collected. */
const POLLS = 3
/** The interval over which the rate is measured, in milliseconds. */
const WINDOW = 5

/** Computes how many jobs to claim before there are slots for them. */
export interface Prefetch {
  /** The number of jobs to claim beyond the free slots. */
  readonly count: number
  /** Call this when a handler has succeeded. */
  handled(): void
  /** Call this when a poll that claims has returned, with its duration in milliseconds. */
  polled(ms: number): void
  /** Call this when a prefetched job has waited too long. */
  slow(): void
}

/**
 * Creates the prefetch of a consumer. Slots must not wait for a claim, so it prefetches the number of jobs that the slots
 * complete during the polls in flight (Little's law). That number is zero for slow handlers. It never exceeds the jobs that
 * have completed in 100 ms, so that no job waits here that another process could run. Only successes count, because a
 * deferred job would come back immediately.
 */
export function createPrefetch(now = () => performance.now()): Prefetch {
  /** Jobs per millisecond. */
  let rate = 0
  let pollDuration = 0
  let handled = 0
  let since = now()
  return {
    get count() {
      return Math.min(MAX_PREFETCH, Math.floor(POLLS * rate * Math.min(pollDuration, MAX_POLL_DURATION)))
    },
    handled() {
      handled++
    },
    polled(ms) {
      pollDuration += (ms - pollDuration) / 4
      const elapsed = now() - since
      if (elapsed < WINDOW) return
      const latest = handled / elapsed
      // The rate rises slowly, because a few jobs that end together prove little. It falls fast.
      rate += (latest - rate) / (latest > rate ? 8 : 2)
      handled = 0
      since += elapsed
    },
    slow() {
      rate = 0
    },
  }
}
