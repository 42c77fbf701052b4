import type { Clock } from '../../../../kernel/index.ts'

/** The tolerated difference between the clocks of this machine and of Redis, in milliseconds. */
const TOLERATED = 1000

/** Converts moments between this machine's clock and the clock of Redis. */
export function createClockSkew(clock: () => Clock) {
  let skew = 0
  return {
    /** Call this with the time of each reply. Differences of up to a second are ignored. */
    measure(storeNow: number): void {
      const difference = storeNow - clock().now()
      skew = Math.abs(difference) > TOLERATED ? difference : 0
    },
    toStore: (moment: number): number => Math.ceil(moment + skew),
    fromStore: (moment: number): number => moment - skew,
  }
}
