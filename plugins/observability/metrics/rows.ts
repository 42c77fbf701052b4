import { MAX_QUEUES } from '../lib/store-counts.ts'
import { Histogram } from './histogram.ts'

/** How an attempt ended. */
export type AttemptOutcome = 'completed' | 'failed' | 'retried' | 'deferred'

/** The queue name of the row for all queues beyond `MAX_QUEUES`. Names that begin with "_" belong to plugins. */
export const REST = '_rest'

/** The counts and durations of a queue in this process. */
export interface MetricRow {
  queue: string
  sent: number
  consumed: number
  retries: number
  deadLetters: number
  /** The number of running handlers. */
  busy: number
  sending: Histogram
  waiting: Histogram
  processing: Record<AttemptOutcome, Histogram>
}

/** The rows by queue. Every job adds to them, so adding must be fast. */
export class MetricRows {
  readonly #rows = new Map<string, MetricRow>()
  #last: MetricRow | undefined

  /** Returns the row of a queue, or the row `_rest` if there already are `MAX_QUEUES` other rows. */
  of(queue: string): MetricRow {
    if (this.#last?.queue === queue) return this.#last
    const known = this.#rows.get(queue)
    if (known) return (this.#last = known)
    if (this.#rows.size >= MAX_QUEUES && queue !== REST) return this.of(REST)
    const row = createRow(queue)
    this.#rows.set(queue, row)
    return (this.#last = row)
  }

  all(): MetricRow[] {
    return [...this.#rows.values()]
  }
}

function createRow(queue: string): MetricRow {
  const counts = { sent: 0, consumed: 0, retries: 0, deadLetters: 0, busy: 0 }
  return {
    queue,
    ...counts,
    sending: new Histogram(),
    waiting: new Histogram(),
    processing: {
      completed: new Histogram(),
      failed: new Histogram(),
      retried: new Histogram(),
      deferred: new Histogram(),
    },
  }
}
