import { isMoment, type Settlement } from '../../../kernel/index.ts'

/** Milliseconds that a job rests whose end cannot be stored. */
const UNSTORABLE_DELAY = 250

/**
 * A settlement as a store can keep it. One whose moment is none gives the job back after a pause: a queue never holds
 * a job that is due at no time, and never runs one without end or rest.
 *
 * @param report is called with what is wrong
 */
export function storable(settlement: Settlement, now: number, report: (problem: string) => void): Settlement {
  if (!('runAt' in settlement) || isMoment(settlement.runAt)) return settlement
  report(`it is to run again at ${String(settlement.runAt)}, which is no moment`)
  return givenBack(settlement, now)
}

/** Gives a job back after a pause. It counts as a crash, so that it does not run without end. */
export function givenBack({ slot }: Pick<Settlement, 'slot'>, now: number): Settlement {
  return { type: 'defer', runAt: now + UNSTORABLE_DELAY, crashed: true, slot }
}
