import { picker } from '../conformance/random.ts'
import type { ChaosFault, ChaosFaultKind } from './types.ts'

/** How often each kind of fault is chosen, relative to the others. */
const WEIGHTS: Readonly<Record<ChaosFaultKind, number>> = {
  crash: 6,
  duplicate: 3,
  outage: 2,
  slow: 1,
  late: 1,
  skew: 1,
}
export const FAULT_KINDS = Object.keys(WEIGHTS) as ChaosFaultKind[]

/** The shortest and the longest duration of a fault, in milliseconds. Stalls are longer than a lease, the others shorter. */
const DURATIONS = {
  duplicate: [31_000, 90_000],
  outage: [100, 20_000],
  slow: [10, 20_000],
  late: [10, 20_000],
} as const
/** By how much the clock of a process may be wrong, in milliseconds. Adapters correct larger differences. */
const MAX_SKEW = 900

export interface GenerateOptions {
  random: () => number
  kinds: readonly ChaosFaultKind[]
  maxFaults: number
  processes: number
  /** How often each point has been reached in a run. */
  points: ReadonlyMap<string, number>
}

/** Returns a random schedule. Most schedules have few faults. */
export function generateSchedule({ random, kinds, maxFaults, processes, points }: GenerateOptions): ChaosFault[] {
  const pick = picker(random)
  const between = (min: number, max: number): number => Math.floor(min + random() * (max - min + 1))
  const weighted = kinds.flatMap((kind) => Array<ChaosFaultKind>(WEIGHTS[kind]).fill(kind))
  const names = [...points.keys()]
  const claims = names.filter((name) => name.startsWith('claim '))

  function fault(): ChaosFault {
    const kind = pick(weighted)
    if (kind === 'skew') return { fault: 'skew', process: between(1, processes), by: between(-MAX_SKEW, MAX_SKEW) }
    const at = pick(kind === 'late' ? claims : names)
    // Once more than without faults, because a fault repeats what came before it.
    const nth = between(1, points.get(at)! + 1)
    const when = random() < 0.5 ? 'before' : 'after'
    if (kind === 'crash') return { fault: 'crash', at, nth, when }
    const [shortest, longest] = DURATIONS[kind]
    const duration = between(shortest, longest)
    return kind === 'late' ? { fault: 'late', at, nth, for: duration } : { fault: kind, at, nth, when, for: duration }
  }

  const count = 1 + Math.floor(random() ** 2 * maxFaults)
  return Array.from({ length: Math.min(count, maxFaults) }, fault)
}
