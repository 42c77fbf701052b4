/** Looks at up to this many are never put off, nor are those that take up to this many milliseconds. */
const FEW = 1000
const CHEAP = 20
/** A look that took longer waits so many times as long before the next. */
const REST = 50

export interface Throttle {
  /** Makes a look at so many, or answers `undefined` while one of the name rests. */
  run<T>(name: string, size: number, look: () => Promise<T>): Promise<T | undefined>
}

/** Keeps looks that grow with what there is, such as counting, to a fiftieth of the time. */
export function createThrottle(): Throttle {
  const rests = new Map<string, number>()
  return {
    async run(name, size, look) {
      const began = performance.now()
      if ((rests.get(name) ?? 0) > began) return undefined
      const found = await look()
      const took = performance.now() - began
      if (size > FEW && took > CHEAP) rests.set(name, performance.now() + REST * took)
      else rests.delete(name)
      return found
    },
  }
}
