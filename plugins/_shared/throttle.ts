/** Milliseconds that a look may take without being put off. */
const CHEAP = 5
/** A look that took longer waits so many times as long before the next. */
const REST = 50

export interface Throttle {
  /** Makes a look, or answers `undefined` while one of the name rests. */
  run<T>(name: string, look: () => Promise<T>): Promise<T | undefined>
}

/** Keeps looks that grow with what there is, such as counting, to a fiftieth of the time. */
export function createThrottle(): Throttle {
  const rests = new Map<string, number>()
  return {
    async run(name, look) {
      const began = performance.now()
      if ((rests.get(name) ?? 0) > began) return undefined
      const found = await look()
      const took = performance.now() - began
      if (took > CHEAP) rests.set(name, performance.now() + REST * took)
      else rests.delete(name)
      return found
    },
  }
}
