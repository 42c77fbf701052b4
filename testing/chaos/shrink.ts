import type { ChaosFault } from './types.ts'

/** How often a schedule is run at most to make it smaller. */
const MAX_TRIES = 200
/** Durations and skews that are tried in place of others, in milliseconds, simplest first. */
const SIMPLE = { duplicate: [60_000, 31_000], other: [1000, 5000, 10_000] } as const

/**
 * Returns the smallest schedule that still fails: first without the faults that are not needed, then with simpler ones.
 *
 * @param fails runs a schedule, and returns whether it fails in the same way
 */
export async function shrinkSchedule(
  schedule: readonly ChaosFault[],
  fails: (schedule: readonly ChaosFault[]) => Promise<boolean>,
): Promise<{ schedule: readonly ChaosFault[]; tries: number }> {
  let tries = 0
  let best = schedule

  async function accept(candidate: readonly ChaosFault[]): Promise<boolean> {
    if (tries >= MAX_TRIES) return false
    tries++
    if (!(await fails(candidate))) return false
    best = candidate
    return true
  }

  /** Drops groups of faults, from large groups to single faults, until no single fault can be dropped. */
  async function drop(): Promise<void> {
    let size = Math.ceil(best.length / 2)
    while (best.length > 0) {
      let dropped = false
      for (let from = 0; from < best.length;) {
        if (await accept([...best.slice(0, from), ...best.slice(from + size)])) dropped = true
        else from += size
      }
      if (!dropped && size === 1) return
      if (!dropped) size = Math.ceil(size / 2)
    }
  }

  async function simplify(): Promise<void> {
    for (let index = 0; index < best.length; index++) {
      for (const simpler of simplerThan(best[index]!)) {
        if (await accept(best.with(index, simpler))) break
      }
    }
  }

  await drop()
  let before: readonly ChaosFault[]
  do {
    before = best
    await simplify()
  } while (best !== before)
  return { schedule: best, tries }
}

/** Returns variants of a fault, simplest first. */
function* simplerThan(fault: ChaosFault): Generator<ChaosFault> {
  if (fault.fault === 'skew') {
    const simple = Math.sign(fault.by) * 500
    if (Math.abs(fault.by) !== 500) yield { ...fault, by: simple }
    return
  }
  // A crash is easier to think about than a stall or an outage.
  if (fault.fault === 'duplicate' || fault.fault === 'outage') {
    yield { fault: 'crash', at: fault.at, nth: fault.nth, when: fault.when }
  }
  for (let nth = 1; nth < fault.nth; nth++) yield { ...fault, nth }
  if (!('for' in fault)) return
  const durations: readonly number[] = fault.fault === 'duplicate' ? SIMPLE.duplicate : SIMPLE.other
  if (!durations.includes(fault.for)) for (const duration of durations) yield { ...fault, for: duration }
}
