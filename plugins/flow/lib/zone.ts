/** How far from any moment its neighbours of the other side of a change of the clocks are certain to be, in ms. */
const A_DAY_AND_MORE = 26 * 3_600_000

/**
 * The clock on the wall of a time zone. A "wall time" is what that clock shows, written as if it were UTC, in
 * milliseconds since the epoch.
 */
export interface WallClock {
  /** What the clock shows at a moment. */
  at(moment: number): number
  /** The first moment that shows a wall time; for one that the clock leaves out, the moment it leaps over it. */
  momentOf(wall: number): number
  /** The latest wall time that the clock had shown up to a moment: beyond `at` while an hour is repeated. */
  latest(moment: number): number
}

/**
 * @param timeZone an IANA name. Default: the system's
 * @throws RangeError for a zone that there is not
 */
export function wallClock(timeZone: string | undefined): WallClock {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    ...{ year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' },
  })

  function at(moment: number): number {
    const seconds = Math.floor(moment / 1000) * 1000
    const parts = format.formatToParts(seconds)
    const [month, day, year, hour, minute, second] = parts.flatMap(({ type, value }) =>
      type === 'literal' ? [] : [Number(value)],
    ) as [number, number, number, number, number, number]
    return Date.UTC(year, month - 1, day, hour, minute, second) + (moment - seconds)
  }

  const offset = (moment: number): number => at(moment) - moment

  /** The moment at which the offset changes, between one before it and one after it. */
  function changeBetween(before: number, after: number): number {
    const old = offset(before)
    let [low, high] = [before, after]
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2)
      if (offset(middle) === old) low = middle
      else high = middle
    }
    return high
  }

  return {
    at,
    momentOf(wall) {
      const offsets = [offset(wall - A_DAY_AND_MORE), offset(wall + A_DAY_AND_MORE)]
      const moments = offsets.map((each) => wall - each).filter((moment) => at(moment) === wall)
      if (moments.length > 0) return Math.min(...moments)
      return changeBetween(wall - A_DAY_AND_MORE, wall + A_DAY_AND_MORE)
    },
    latest: (moment) => moment + Math.max(offset(moment), offset(moment - A_DAY_AND_MORE)),
  }
}
