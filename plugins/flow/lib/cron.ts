import { Cron } from 'croner'
import { wallClock } from './zone.ts'

/** The moments of a cron expression, in milliseconds since the epoch. */
export interface CronMoments {
  /** The first one after a moment; `undefined` when there is none. */
  next(after: number): number | undefined
  /** The last one up to a moment; `undefined` when there is none. */
  last(until: number): number | undefined
}

/**
 * What comes every hour comes in each hour that passes. Everything else follows the clock on the wall: once in an
 * hour that is repeated, and right after one that is left out.
 *
 * @param cron five fields, or six with seconds in front
 * @param timeZone an IANA name. Default: the system's
 * @throws Error for an expression or a time zone that makes no sense
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
  // Expressions are read before, time zones when they are first used.
  passing.next(0)
  return isHourly(cron) || isDate(cron) ? passing : onTheWall(timesIn('UTC'), timeZone)
}

/** The moments at which the clock of a zone shows what an expression means by wall time. */
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

/** Whether an expression names all hours of the day, however it is written. */
function isHourly(cron: string): boolean {
  const fields = cron.trim().split(/\s+/)
  if (fields.length === 1) return cron.trim().toLowerCase() === '@hourly'
  const hours = new Cron(`0 0 ${fields.length === 5 ? fields[1] : fields[2]} * * *`, { timezone: 'UTC', paused: true })
  return hours.nextRuns(24, new Date(-1)).at(-1)?.getTime() === 23 * 3_600_000
}

/** A single moment, which may name its zone itself. */
function isDate(cron: string): boolean {
  return cron.includes(':')
}
