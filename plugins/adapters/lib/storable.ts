import { isMoment, type Settlement } from '../../../kernel/index.ts'

/** Milliseconds before a job runs again if its outcome could not be stored. */
const UNSTORABLE_DELAY = 250

/**
 * Returns a settlement that the store can keep. If `runAt` is not a valid moment, it returns a settlement that defers
 * the job for a short time. The queue then never holds a job that never becomes due, and never runs a job in a tight
 * loop.
 *
 * @param report is called with a description of the problem
 */
export function storable(settlement: Settlement, now: number, report: (problem: string) => void): Settlement {
  if (!('runAt' in settlement) || isMoment(settlement.runAt)) return settlement
  report(`"runAt" must be a moment in milliseconds since the epoch; got ${String(settlement.runAt)}`)
  return givenBack(settlement, now)
}

/** Defers a job for a short time. The deferral counts as a crash, so that the job does not run forever. */
export function givenBack({ slot }: Pick<Settlement, 'slot'>, now: number): Settlement {
  return { type: 'defer', runAt: now + UNSTORABLE_DELAY, crashed: true, slot }
}
