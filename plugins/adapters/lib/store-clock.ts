import { systemClock, type Clock, type Reporter } from '../../../kernel/index.ts'

/** By how many milliseconds the clocks of this machine and of the store may differ unnoticed. */
const TOLERATED = 1000

export interface StoreClock extends Clock {
  /**
   * Takes in what the store's clock said.
   *
   * @param storeNow the store's time, in milliseconds since the epoch
   * @param askedAt this machine's time (`Date.now()`) before the store was asked
   */
  compare(storeNow: number, askedAt: number): void
}

/**
 * The clock of a store that several machines share. It is this machine's, and where the two differ by more than a
 * second, this machine's put right: so a delay, a debounce, a sleep or a tick of a schedule means the same moment on
 * every machine. The difference is reported once.
 *
 * @param store names it in the report, for example `Redis at db:6379`
 */
export function createStoreClock(store: string, reporter: Reporter): StoreClock {
  let skew = 0
  let reported = false

  return {
    now: () => Date.now() + skew,
    setTimeout: (callback, ms) => systemClock.setTimeout(callback, ms),
    compare(storeNow, askedAt) {
      const answeredAt = Date.now()
      const uncertain = (answeredAt - askedAt) / 2
      const difference = storeNow - (askedAt + answeredAt) / 2
      // An answer that took its time says little, unless it contradicts what is known.
      if (uncertain > TOLERATED / 2 && Math.abs(difference - skew) < 2 * uncertain) return
      skew = Math.abs(difference) > TOLERATED ? Math.round(difference) : 0
      if (skew === 0 || reported) return
      reported = true
      const which = skew > 0 ? 'behind' : 'ahead of'
      const hint = 'Its clock decides when jobs are due; set this one by a time server.'
      reporter.warn(`The clock of this machine is ${Math.abs(skew)} ms ${which} that of ${store}. ${hint}`)
    },
  }
}
