/** A period in milliseconds that is longer than any offset from UTC plus a change of the clocks. */
const MAX_OFFSET = 26 * 3_600_000

/**
 * Converts between moments and the local time of a zone. A "wall time" is a local time written as if it were UTC, in
 * milliseconds since the epoch.
 */
export interface WallClock {
  /** Returns the wall time at a moment. */
  at(moment: number): number
  /** Returns the first moment with a wall time. For a wall time that the clocks skip, returns the moment of the skip. */
  momentOf(wall: number): number
  /** Returns the latest wall time up to a moment. It is later than `at` while the clocks repeat an hour. */
  latest(moment: number): number
}

/**
 * @param timeZone an IANA name. Default: the time zone of the system
 * @throws RangeError for an unknown zone
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

  /** Returns the moment between two others at which the offset changes. */
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
      const offsets = [offset(wall - MAX_OFFSET), offset(wall + MAX_OFFSET)]
      const moments = offsets.map((each) => wall - each).filter((moment) => at(moment) === wall)
      if (moments.length > 0) return Math.min(...moments)
      return changeBetween(wall - MAX_OFFSET, wall + MAX_OFFSET)
    },
    latest: (moment) => moment + Math.max(offset(moment), offset(moment - MAX_OFFSET)),
  }
}
