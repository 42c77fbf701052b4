import { Cron } from 'croner'
import { wallClock } from './zone.ts'

/** The moments that a cron expression matches, in milliseconds since the epoch. */
export interface CronMoments {
  /** Returns the first match after a moment, or `undefined` if there is none. */
  next(after: number): number | undefined
  /** Returns the last match up to a moment, or `undefined` if there is none. */
  last(until: number): number | undefined
}

/**
 * Returns the moments of a cron expression. An expression that matches every hour matches each elapsed hour. Any other expression follows
 * the local time of the zone: it matches once in an hour that the clocks repeat, and right after an hour that they skip.
 *
 * @param cron five fields, or six with seconds first
 * @param timeZone an IANA name. Default: the time zone of the system
 * @throws Error for an invalid expression or time zone
 */
export function cronMoments(cron: string, timeZone: string | undefined): CronMoments {
  const timesIn = (timezone: string | undefined): CronMoments => {
    const times = new Cron(cron, { timezone, paused: true })
    return {
      next: (after) => times.nextRun(new Date(after))?.getTime(),
      last: (until) => times.previousRuns(1, new Date(until + 1))[0]?.getTime(),
    }
  }
  const passing = timesIn(timeZone)
  // croner checks a time zone when it is first used, so use it here.
  passing.next(0)
  return isHourly(cron) || isDate(cron) ? passing : onTheWall(timesIn('UTC'), timeZone)
}

/** Returns the moments at which the local time of a zone matches an expression. */
function onTheWall(times: CronMoments, timeZone: string | undefined): CronMoments {
  const clock = wallClock(timeZone)
  return {
    next(after) {
      let wall = times.next(clock.at(after))
      while (wall !== undefined && clock.momentOf(wall) <= after) wall = times.next(wall)
      return wall === undefined ? undefined : clock.momentOf(wall)
    },
    last(until) {
      let wall = times.last(clock.latest(until))
      while (wall !== undefined && clock.momentOf(wall) > until) wall = times.last(wall - 1)
      return wall === undefined ? undefined : clock.momentOf(wall)
    },
  }
}

/** Whether an expression matches every hour of the day, in any notation. */
function isHourly(cron: string): boolean {
  const fields = cron.trim().split(/\s+/)
  if (fields.length === 1) return cron.trim().toLowerCase() === '@hourly'
  const hours = new Cron(`0 0 ${fields.length === 5 ? fields[1] : fields[2]} * * *`, { timezone: 'UTC', paused: true })
  return hours.nextRuns(24, new Date(-1)).at(-1)?.getTime() === 23 * 3_600_000
}

/** Whether the text is a single moment, which may contain its own zone, instead of an expression. */
function isDate(cron: string): boolean {
  return cron.includes(':')
}
