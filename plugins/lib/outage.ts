import type { Reporter } from '../../kernel/index.ts'

/** An outage that starts within this many milliseconds after a report, and ends as quickly, is not reported. */
const QUIET_PERIOD = 10_000

export interface Outage {
  /** Whether the store is unavailable now. */
  readonly active: boolean
  /** Records that a call failed because the store is unavailable or refuses requests. */
  failed(error: unknown): void
  /** Records that a call succeeded. */
  worked(): void
}

/** Callbacks for the beginning and the end of an outage. */
export interface OutageReports {
  away(error: unknown): void
  back(): void
}

/**
 * Watches a store, and reports the beginning and the end of an outage once each, for any number of failed calls in between.
 * Several short outages within ten seconds count as one.
 *
 * @param store the name in the reports, for example `PostgreSQL`
 * @param now returns milliseconds. Default: `performance.now()`
 */
export function createOutage(store: string, reporter: Reporter, now?: () => number): Outage {
  const reports = {
    away: (error: unknown) => reporter.warn(`${store} is unavailable. Jobs wait until it is back.`, error),
    back: () => reporter.warn(`${store} is back.`),
  }
  return watchOutage(reports, now)
}

/** The same as `createOutage`, but calls callbacks instead of reporting. */
export function watchOutage(reports: OutageReports, now = () => performance.now()): Outage {
  let away = false
  let reported = false
  let since = -Infinity
  let reportedAt = -Infinity

  return {
    get active() {
      return away
    },
    failed(error) {
      if (!away) {
        away = true
        reported = false
        since = now()
      }
      if (reported || (since - reportedAt < QUIET_PERIOD && now() - since < QUIET_PERIOD)) return
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
