import { addSparse, createHistogram, toSparse, type BucketCounts, type SparseHistogram } from './histogram.ts'

/** The events of jobs that are counted. Their order is stored, so new names go to the end. `expired` jobs are also `failed`. */
export const COUNTERS = ['enqueued', 'started', 'completed', 'failed', 'retried', 'expired'] as const
export type Counter = (typeof COUNTERS)[number]

/** The maximum number of pairs of queue and worker in one record. The pairs with the fewest events share the row `REST`. */
const MAX_ROWS = 200
/**
 * The maximum number of pairs that a process counts separately in one bucket, so that queues with generated names do not use much memory.
 */
const MAX_PAIRS = 1000
/** The maximum size of a row with all buckets, in bytes. */
const ROW_BYTES = 4096
/** The queue and the worker name of the row for all other pairs. Names that begin with "_" belong to plugins. */
export const REST = '_rest'

/** The counts and durations of the jobs of a worker on a queue in a period. */
export interface Row {
  queue: string
  worker: string
  counts: Record<Counter, number>
  /** Milliseconds from when attempts were due until they started. */
  wait: BucketCounts
  /** Milliseconds from when attempts started until they completed or failed. */
  run: BucketCounts
}

/** A row in its stored form. `counts` is in the order of `COUNTERS`. */
export interface StoredRow {
  queue: string
  worker: string
  counts: readonly number[]
  wait: SparseHistogram
  run: SparseHistogram
}

/** Rows by queue and worker. Every job adds to them, so adding must be fast. */
export class Rows {
  readonly #queues = new Map<string, Map<string, Row>>()
  #pairs = 0
  #last: Row | undefined

  /** Returns the row of a worker on a queue, or the row `REST` if there already are `MAX_PAIRS` other rows. */
  row(queue: string, worker: string): Row {
    const last = this.#last
    if (last !== undefined && last.queue === queue && last.worker === worker) return last
    const known = this.#queues.get(queue)?.get(worker)
    if (known) return (this.#last = known)
    if (this.#pairs >= MAX_PAIRS && queue !== REST) return this.row(REST, REST)
    const row = createRow(queue, worker)
    const workers = this.#queues.get(queue) ?? new Map<string, Row>()
    this.#queues.set(queue, workers.set(worker, row))
    this.#pairs++
    return (this.#last = row)
  }

  add({ queue, worker, counts, wait, run }: StoredRow): void {
    addStored(this.row(queue, worker), { counts, wait, run })
  }

  /**
   * Returns the rows in their stored form, at most `MAX_ROWS` rows and at most `bytes` bytes. Rows that do not fit are added up in the row
   * `REST`.
   */
  toStored(bytes: number): StoredRow[] {
    const rows = [...this.#queues.values()].flatMap((workers) => [...workers.values()])
    rows.sort((a, b) => activity(b) - activity(a))
    const rest = createRow(REST, REST)
    const stored: StoredRow[] = []
    let left = bytes - ROW_BYTES
    for (const row of rows) {
      const one = store(row)
      left -= Buffer.byteLength(JSON.stringify(one)) + 1
      if (row.queue !== REST && stored.length < MAX_ROWS && left >= 0) stored.push(one)
      else addStored(rest, one)
    }
    return activity(rest) > 0 ? [...stored, store(rest)] : stored
  }
}

export function createRow(queue: string, worker: string): Row {
  const counts = { enqueued: 0, started: 0, completed: 0, failed: 0, retried: 0, expired: 0 }
  return { queue, worker, counts, wait: createHistogram(), run: createHistogram() }
}

export function addStored(row: Row, { counts, wait, run }: Pick<StoredRow, 'counts' | 'wait' | 'run'>): void {
  for (const [index, name] of COUNTERS.entries()) row.counts[name] += counts[index] ?? 0
  addSparse(row.wait, wait)
  addSparse(row.run, run)
}

function store({ queue, worker, counts, wait, run }: Row): StoredRow {
  return { queue, worker, counts: COUNTERS.map((name) => counts[name]), wait: toSparse(wait), run: toSparse(run) }
}

function activity({ counts }: Row): number {
  return counts.enqueued + counts.started + counts.completed + counts.failed + counts.retried
}
