import type { Clock } from '../contracts/index.ts'

/** The longest delay Node's timers take; they fire at once for more, so longer ones are chained. */
const LONGEST_TIMER = 2 ** 31 - 1

/** A delay as `setTimeout` and `setInterval` of Node take it: 24 days for anything longer. */
export function timerDelay(ms: number): number {
  return Math.min(ms, LONGEST_TIMER)
}

export const systemClock: Clock = {
  now: () => Date.now(),
  setTimeout(callback, ms) {
    let timer: NodeJS.Timeout
    const arm = (left: number): void => {
      const step = Math.min(left, LONGEST_TIMER)
      timer = setTimeout(() => (left > step ? arm(left - step) : callback()), step)
    }
    arm(ms)
    return () => clearTimeout(timer)
  },
}
