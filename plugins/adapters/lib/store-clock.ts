import { systemClock, type Clock, type Diagnosis, type Reporter } from '../../../kernel/index.ts'

/** The tolerated difference between the clock of this machine and the clock of the store, in milliseconds. */
const TOLERATED = 1000

export interface StoreClock extends Clock {
  /**
   * Compares this machine's clock with a reading of the store's clock.
   *
   * @param storeNow the store's time, in milliseconds since the epoch
   * @param askedAt this machine's time (`Date.now()`) before the request was sent
   */
  compare(storeNow: number, askedAt: number): void
  /** Says whether the clocks differ. */
  diagnose(): Diagnosis
}

/**
 * Creates the clock of a store that several machines share. It returns this machine's time. If the two clocks differ by
 * more than a second, it adds the difference, so that a delay, a debounce, a sleep or a schedule means the same moment
 * on every machine. The difference is reported once.
 *
 * @param store the name of the store in the report, for example `Redis at db:6379`
 */
export function createStoreClock(store: string, reporter: Reporter): StoreClock {
  let skew = 0
  let reported = false

  function diagnose(): Diagnosis {
    if (skew === 0) return { check: 'clock', level: 'ok', message: `This machine and ${store} have the same time.` }
    const message = `The clock of this machine is ${Math.abs(skew)} ms ${skew > 0 ? 'behind' : 'ahead of'} that of ${store}.`
    const hint = 'The engine uses the time of the store. Synchronize the clock of this machine with a time server.'
    return { check: 'clock', level: 'warning', message, hint }
  }

  return {
    diagnose,
    now: () => Date.now() + skew,
    setTimeout: (callback, ms) => systemClock.setTimeout(callback, ms),
    compare(storeNow, askedAt) {
      const receivedAt = Date.now()
      const uncertain = (receivedAt - askedAt) / 2
      const difference = storeNow - (askedAt + receivedAt) / 2
      // A slow response is too imprecise to use, unless it clearly contradicts the known difference.
      if (uncertain > TOLERATED / 2 && Math.abs(difference - skew) < 2 * uncertain) return
      skew = Math.abs(difference) > TOLERATED ? Math.round(difference) : 0
      if (skew === 0 || reported) return
      reported = true
      const { message, hint } = diagnose()
      reporter.warn(`${message} ${hint}`)
    },
  }
}
