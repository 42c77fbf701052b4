/** Up to this many is never put off. */
const FEW = 1000
/** What took so long rests so many times as long. */
const REST = 50

export interface Throttle {
  /** Does something for so many, or answers 0 while it rests. */
  run(name: string, size: number, work: () => Promise<number>): Promise<number>
}

/** Keeps work that grows with what there is, such as counting, to a fiftieth of the time. */
export function createThrottle(): Throttle {
  const rests = new Map<string, number>()
  return {
    async run(name, size, work) {
      if (size <= FEW) return work()
      const began = performance.now()
      if ((rests.get(name) ?? 0) > began) return 0
      // Until it is known how long it takes, nobody else starts it.
      rests.set(name, Infinity)
      try {
        return await work()
      } finally {
        const now = performance.now()
        rests.set(name, now + REST * (now - began))
      }
    },
  }
}
