import type { ChaosFault } from './types.ts'

/** A fault that happens at a point. */
export type PointFault = Exclude<ChaosFault, { fault: 'skew' }>

export interface TraceEntry {
  /** Milliseconds since the run began. */
  at: number
  process: string
  what: string
}

/** The faults of one run, the points that its processes have reached, and what happened. */
export function createFaults(schedule: readonly ChaosFault[], now: () => number) {
  const passages = new Map<string, number>()
  const trace: TraceEntry[] = []
  const fired = new Set<ChaosFault>(schedule.filter(({ fault }) => fault === 'skew'))
  const began = now()
  const add = (process: string, what: string): void => void trace.push({ at: now() - began, process, what })

  return {
    passages,
    trace,
    fired,
    add,
    /** Returns the faults that happen at this passage of a point. */
    reach(point: string, process: string): PointFault[] {
      const nth = (passages.get(point) ?? 0) + 1
      passages.set(point, nth)
      add(process, point)
      const due = schedule.filter(
        (fault): fault is PointFault => fault.fault !== 'skew' && fault.at === point && fault.nth === nth,
      )
      for (const fault of due) {
        fired.add(fault)
        const duration = 'for' in fault ? ` for ${fault.for} ms` : ''
        add(process, `!! ${fault.fault}${'when' in fault ? ` ${fault.when} this` : ''}${duration}`)
      }
      return due
    },
  }
}
export type Faults = ReturnType<typeof createFaults>

/** Returns when a fault happens. A late delivery happens before the process learns of the job. */
export function whenOf(fault: PointFault): 'before' | 'after' {
  return 'when' in fault ? fault.when : 'before'
}
