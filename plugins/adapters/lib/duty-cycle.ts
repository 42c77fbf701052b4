/** Work on up to this many items is never skipped. */
const ALWAYS_ALLOWED = 1000
/** After work that took one unit of time, the same work is skipped for this many units. */
const PAUSE_FACTOR = 50

export interface DutyCycle {
  /**
   * Runs `work` and returns its result, or returns 0 without running it during a rest period.
   *
   * @param name work of the same name shares a rest period
   * @param size the number of items that `work` handles
   */
  run(name: string, size: number, work: () => Promise<number>): Promise<number>
}

/** Limits expensive work, such as counting a large table, to about a fiftieth of the time. */
export function createDutyCycle(): DutyCycle {
  const rests = new Map<string, number>()
  return {
    async run(name, size, work) {
      if (size <= ALWAYS_ALLOWED) return work()
      const began = performance.now()
      if ((rests.get(name) ?? 0) > began) return 0
      // No other call starts the work until its duration is known.
      rests.set(name, Infinity)
      try {
        return await work()
      } finally {
        const now = performance.now()
        rests.set(name, now + PAUSE_FACTOR * (now - began))
      }
    },
  }
}
