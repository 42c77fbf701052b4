import type { Reporter } from '../../kernel/index.ts'

/** Milliseconds. An outage that begins so soon after the one before, and is over again as soon, is not reported. */
const QUIET = 10_000

export interface Outage {
  /** Whether the store is away. */
  readonly now: boolean
  /** A call has failed since the store is away, or does not take what it is sent. */
  failed(error: unknown): void
  /** The store has done what it was asked for. */
  worked(): void
}

/** What is done when an outage begins and is over. */
export interface OutageReports {
  away(error: unknown): void
  back(): void
}

/**
 * Reports an outage of a store once when it begins and once when it is over, however many calls fail meanwhile.
 * A store that comes and goes several times in ten seconds is one outage.
 *
 * @param store names it in the reports, for example `PostgreSQL`
 */
export function createOutage(store: string, reporter: Reporter, now?: () => number): Outage {
  const reports = {
    away: (error: unknown) => reporter.warn(`${store} is away; everything waits until it is back.`, error),
    back: () => reporter.warn(`${store} is back.`),
  }
  return watchOutage(reports, now)
}

/** The same with reports of one's own. */
export function watchOutage(reports: OutageReports, now = () => performance.now()): Outage {
  let away = false
  let reported = false
  let since = -Infinity
  let reportedAt = -Infinity

  return {
    get now() {
      return away
    },
    failed(error) {
      if (!away) {
        away = true
        reported = false
        since = now()
      }
      if (reported || (since - reportedAt < QUIET && now() - since < QUIET)) return
      reported = true
      reports.away(error)
    },
    worked() {
      if (!away) return
      away = false
      reportedAt = now()
      if (reported) reports.back()
    },
  }
}
