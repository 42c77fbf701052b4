import type { Clock, QueueLimits, QueueLimitsChange } from '../../../../kernel/index.ts'

/** Decides when a queue with limits may claim its next job. */
export function createGate(clock: Pick<Clock, 'now'>) {
  let limits: QueueLimits = {}
  let limited = false
  /** The jobs claimed in the period that ends at `periodEnd`. */
  let claimed = 0
  let periodEnd = 0

  return {
    get limits(): QueueLimits {
      return limits
    },
    get limited(): boolean {
      return limited
    },
    /** @returns the limits after the change */
    change({ concurrency = limits.concurrency ?? null, rate = limits.rate ?? null }: QueueLimitsChange): QueueLimits {
      if (rate !== (limits.rate ?? null)) claimed = periodEnd = 0
      limited = concurrency !== null || rate !== null
      return (limits = { ...(concurrency !== null && { concurrency }), ...(rate && { rate: { ...rate } }) })
    },
    /** Counts a claim. Returns whether the queue has limits. */
    count(): boolean {
      if (!limits.rate) return limited
      const now = clock.now()
      if (now >= periodEnd) {
        claimed = 0
        periodEnd = now + limits.rate.period
      }
      claimed++
      return limited
    },
    /** Returns whether a job may be claimed while `active` jobs run. */
    isOpen: (active: number): boolean => active < (limits.concurrency ?? Infinity) && opensAt() === 0,
    opensAt,
  }

  /** Returns when the rate allows the next claim, or 0 if it does now. */
  function opensAt(): number {
    const { rate } = limits
    return rate && claimed >= rate.limit && clock.now() < periodEnd ? periodEnd : 0
  }
}
