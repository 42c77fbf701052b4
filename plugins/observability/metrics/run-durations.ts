import type { EndedRun } from '../lib/measure.ts'
import { MAX_QUEUES } from '../lib/store-counts.ts'
import { Histogram } from './histogram.ts'
import { REST } from './rows.ts'

/** The durations of the runs of a flow that ended with a status. */
interface Row {
  /** Empty for runs of single jobs. */
  flow: string
  status: string
  durations: Histogram
}

export interface RunDurations {
  observe(run: EndedRun): void
  all(): Row[]
}

/** Counts how long runs took. Flows beyond the first 200 share a row, as queues do. */
export function createRunDurations(): RunDurations {
  const flows = new Set<string>()
  const rows = new Map<string, Row>()

  function rowOf(flow: string, status: string): Row {
    if (!flows.has(flow) && flows.size >= MAX_QUEUES && flow !== REST) return rowOf(REST, status)
    flows.add(flow)
    const key = `${status} ${flow}`
    const row = rows.get(key) ?? { flow, status, durations: new Histogram() }
    rows.set(key, row)
    return row
  }

  return {
    observe: ({ flow = '', status, duration }) => rowOf(flow, status).durations.observe(duration),
    all: () => [...rows.values()],
  }
}
