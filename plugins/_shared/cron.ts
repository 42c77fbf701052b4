import { Cron } from 'croner'

/** The moments of a cron expression, in milliseconds since the epoch. */
export interface CronMoments {
  /** The first one after a moment; `undefined` when there is none. */
  next(after: number): number | undefined
  /** The last one up to a moment; `undefined` when there is none. */
  last(until: number): number | undefined
}

/**
 * @param cron five fields, or six with seconds in front
 * @param timeZone an IANA name. Default: the system's
 * @throws Error for an expression or a time zone that makes no sense
 */
export function cronMoments(cron: string, timeZone: string | undefined): CronMoments {
  const times = new Cron(cron, { timezone: timeZone, paused: true })
  // Expressions are read here, time zones when they are first used.
  times.nextRun(new Date(0))
  return {
    next: (after) => times.nextRun(new Date(after))?.getTime(),
    last: (until) => times.previousRuns(1, new Date(until + 1))[0]?.getTime(),
  }
}
