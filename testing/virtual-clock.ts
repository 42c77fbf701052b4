import { checkMoment, invalid, isDuration, type Clock } from '../kernel/index.ts'

interface Timer {
  at: number
  order: number
  callback: () => void
}

const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Milliseconds, or a text such as `500ms`, `10s`, `5m`, `1h` or `2d`. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`

/** Returns a duration in milliseconds. @throws QueueError `OPTION_INVALID`, also for a negative duration */
export function toMilliseconds(duration: Duration): number {
  const [, amount, unit = ''] = /^(\d+(?:\.\d+)?)(ms|[smhd])$/.exec(String(duration)) ?? []
  const ms = typeof duration === 'string' ? Number(amount) * UNITS[unit]! : duration
  if (isDuration(ms)) return ms
  throw invalid('A duration', 'a number of milliseconds or a text such as "500ms", "10s" or "1h"', duration)
}

/** A clock that moves only when `advance` is called. */
export interface VirtualClock extends Clock {
  /**
   * Moves time forward. Timers that become due are called in order, and each sees its own moment as `now()`. After each timer,
   * the clock waits until the work that the timer started has settled.
   *
   * @throws QueueError `OPTION_INVALID` for a duration that is negative or cannot be read
   */
  advance(duration: Duration): Promise<void>
  /** The number of active timers. */
  readonly timers: number
  /** The moment of the next timer, in milliseconds since the epoch. `undefined` if there are no timers. */
  readonly next: number | undefined
}

/** The default start of virtual time: 2026-01-01T00:00:00Z, a Thursday. */
export const VIRTUAL_EPOCH = Date.UTC(2026, 0, 1)

/** @throws QueueError `OPTION_INVALID` for a start before 1970 or after 9999 */
export function createVirtualClock(start: number | Date = VIRTUAL_EPOCH): VirtualClock {
  const timers = new Set<Timer>()
  let now = checkMoment('The start of the virtual clock', start)
  let order = 0

  function nextTimer(until: number): Timer | undefined {
    let next: Timer | undefined
    for (const timer of timers) {
      if (timer.at > until) continue
      if (!next || timer.at < next.at || (timer.at === next.at && timer.order < next.order)) next = timer
    }
    return next
  }

  return {
    now: () => now,
    get timers() {
      return timers.size
    },
    get next() {
      return nextTimer(Infinity)?.at
    },
    setTimeout(callback, ms) {
      const timer: Timer = { at: now + Math.max(0, ms), order: order++, callback }
      timers.add(timer)
      return () => void timers.delete(timer)
    },
    async advance(duration) {
      const until = now + toMilliseconds(duration)
      await settled()
      for (let timer = nextTimer(until); timer; timer = nextTimer(until)) {
        timers.delete(timer)
        now = Math.max(now, timer.at)
        timer.callback()
        await settled()
      }
      now = until
      await settled()
    },
  }
}

/** Lets everything happen that needs no more than microtasks and turns of the event loop. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate)
}
