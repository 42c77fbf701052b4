import type { Clock } from '../contracts/index.ts'

/** The longest delay that timers of Node support. A timer with a longer delay fires at once, so longer delays are chained. */
const MAX_TIMER = 2 ** 31 - 1

/** Returns a delay that `setTimeout` and `setInterval` of Node support: at most 24 days. */
export function timerDelay(ms: number): number {
  return Math.min(ms, MAX_TIMER)
}

export const systemClock: Clock = {
  now: () => Date.now(),
  setTimeout(callback, ms) {
    let timer: NodeJS.Timeout
    const arm = (left: number): void => {
      const step = Math.min(left, MAX_TIMER)
      timer = setTimeout(() => (left > step ? arm(left - step) : callback()), step)
    }
    arm(ms)
    return () => clearTimeout(timer)
  },
}
