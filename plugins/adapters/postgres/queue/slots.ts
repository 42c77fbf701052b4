import type { Clock, Ending, JobRecord, Lease, Processor, Settlement } from '../../../../kernel/index.ts'
import type { Arrivals } from './arrivals.ts'
import type { Claim } from './claim.ts'
import type { Prefetch } from './prefetch.ts'
import { recordOf, type JobRow } from './record.ts'
import { returned, settlementOf, type Settled } from './settlement.ts'
import type { Listeners } from '../../lib/listeners.ts'

/** A job that was just claimed. */
export interface ClaimedRow extends JobRow {
  /** The `ctid` of the row. The column name is part of `nq_take_turn`. */
  at: string
}

export interface Claimed extends Claim {
  /** The row is decoded when the job starts, because a decoded row takes many times the memory. */
  readonly row: ClaimedRow
  readonly claimedAt: number
  lost: boolean
  onLost: (() => void) | undefined
  /** True while the job uses a slot. */
  busy: boolean
  /** True if the job waits or has waited for its worker. */
  parked: boolean
  /** True if the job was settled with the append of its terminal event. */
  stored: boolean
  /** The settlement that was stored then. Absent if the job belonged to another worker. */
  settled: Settled | undefined
}

export interface Slots {
  /** Jobs by their id in pg-boss. */
  readonly held: ReadonlyMap<string, Claim>
  /** The number of free slots. Negative after the concurrency was reduced. */
  readonly free: number
  /** The number of jobs that wait or have waited for their worker. They use no slot. */
  readonly parked: number
  /** The number of claimed jobs that wait for a slot. */
  readonly waiting: number
  /** Adds claimed jobs. `fill` starts them. */
  add(rows: readonly ClaimedRow[]): void
  fill(): void
  resize(concurrency: number): void
  /** Returns all jobs that wait for a slot to the queue. */
  giveBack(): void
  /** Frees the slot of a job that was settled with the append of its terminal event. The runner still works with it. */
  stored(job: Claimed, settled: Settled | undefined): void
}

export interface SlotsHost {
  clock: Clock
  listeners: Listeners
  arrivals: Arrivals
  prefetch: Prefetch
  progress(claim: Claim, record: JobRecord, value: number): Promise<void>
  /** Returns the ending of a job for the append that completes it (see `Lease`). */
  ending(job: Claimed, record: JobRecord, key: string): Ending
  /** Called for each job that has run or returns to the queue. */
  settled(one: Settled): void
  /** Called when the runner has finished with a job that was settled before. */
  finished(settled: Settled | undefined): void
  /** Called for each job that another worker claimed while this process is alive. */
  lapsed(claim: Claim): void
  /** Called when the outcome of a job cannot be stored. */
  unstorable(record: JobRecord, problem: unknown): void
  /** Called when a slot became free or a job has ended. */
  changed(): void
}

/** How long a claimed job waits for a slot before it returns to the queue for other processes, in milliseconds. */
const MAX_WAIT = 1000
/** How long a job is deferred if its processor rejected, in milliseconds. */
const AFTER_REJECTION = 1000
/** How long jobs are started in a row before other work of the event loop may run, in milliseconds. */
const MAX_BURST = 10

/**
 * Runs claimed jobs in a limited number of slots.
 *
 *     add() ──> waiting ── fill() ──> running (busy) ── handled, parked ──> running (no slot) ── end ──> settled
 *                  │                      ├── handler returned, concurrency 1 ──> stored (no slot) ── end ──> finished()
 *                  │                      └── lease lost ──> onLost ──> settlement `lost` ──> lapsed()
 *                  └── waited 1 s, close, hold ──> giveBack() ──> settled (returned)
 */
export function createSlots(queue: string, processor: Processor, initialConcurrency: number, host: SlotsHost): Slots {
  const { clock, listeners, prefetch } = host
  const held = new Map<string, Claimed>()
  let concurrency = initialConcurrency
  /** The number of used slots, by jobs or by handler code that still runs after its job has ended. */
  let taken = 0
  let parked = 0
  let waiting: Claimed[] = []
  let filling = false
  let watching: NodeJS.Timeout | undefined

  function take(row: ClaimedRow): void {
    const now = performance.now()
    held.get(row.id)?.lose()
    const job: Claimed = {
      uuid: row.id,
      ctid: row.at,
      count: row.retry_count,
      row,
      since: now,
      claimedAt: now,
      busy: false,
      parked: false,
      lost: false,
      onLost: undefined,
      stored: false,
      settled: undefined,
      lose() {
        job.lost = true
        job.onLost?.()
      },
    }
    held.set(row.id, job)
    waiting.push(job)
  }

  function fill(): void {
    if (filling) return
    filling = true
    const end = performance.now() + MAX_BURST
    while (taken < concurrency && waiting.length > 0) {
      if (performance.now() > end) {
        setImmediate(fill)
        break
      }
      start(waiting.shift()!)
    }
    filling = false
    watch()
  }

  /** Returns waiting jobs to the queue if no slot becomes free in time. */
  function watch(): void {
    const next = waiting[0]
    if (!next || watching) return
    const onTimeout = (): void => {
      watching = undefined
      if (waiting[0] !== next) return watch()
      prefetch.slow()
      giveBack()
    }
    watching = setTimeout(onTimeout, Math.max(0, next.claimedAt + MAX_WAIT - performance.now())).unref()
  }

  function start(job: Claimed): void {
    if (job.lost) return forget(job)
    job.busy = true
    taken++
    const record = recordOf(queue, job.row, 'active')
    // The database decided that the job is due, even if the clock of this machine is behind.
    record.runAt = Math.min(record.runAt, clock.now())
    host.arrivals.claimed(record)
    if (listeners.any) listeners.emit('active', queue, () => ({ ...record }))
    void processor(record, leaseOf(job, record)).then(
      (settlement) => end(job, record, settlement),
      // A processor must not reject. If it does, its job has not ended.
      () => end(job, record, { type: 'defer', runAt: clock.now() + AFTER_REJECTION }),
    )
  }

  function leaseOf(job: Claimed, record: JobRecord): Lease {
    return {
      onLost: (callback) => void (job.onLost = callback),
      handled() {
        prefetch.handled()
        // With a concurrency of 1, the outcome of a job is stored before the next job starts.
        if (concurrency > 1) release(job)
      },
      ending: (key) => (concurrency === 1 ? host.ending(job, record, key) : undefined),
      parked() {
        if (!job.parked) parked++
        job.parked = true
        release(job)
      },
      progress: (value) => host.progress(job, record, value),
    }
  }

  function end(job: Claimed, record: JobRecord, settlement: Settlement): void {
    if (job.stored) return host.finished(job.settled)
    forget(job)
    if (settlement.type === 'lost') host.lapsed(job)
    else host.settled(settlementOf(job, record, settlement, clock.now(), (problem) => host.unstorable(record, problem)))
    const { slot } = settlement
    if (slot && job.busy) void slot.then(() => release(job))
    else release(job)
    host.changed()
  }

  function forget(job: Claimed): void {
    if (job.parked) parked--
    job.parked = false
    if (held.get(job.uuid) === job) held.delete(job.uuid)
  }

  function release(job: Claimed): void {
    if (!job.busy) return
    job.busy = false
    taken--
    fill()
    host.changed()
  }

  function giveBack(): void {
    const jobs = waiting
    waiting = []
    for (const job of jobs) {
      forget(job)
      if (!job.lost) host.settled(returned(job))
    }
    host.changed()
  }

  return {
    held,
    get free() {
      return concurrency - taken
    },
    get parked() {
      return parked
    },
    get waiting() {
      return waiting.length
    },
    add(rows) {
      for (const row of rows) take(row)
    },
    fill,
    stored(job, settled) {
      job.stored = true
      job.settled = settled
      forget(job)
      release(job)
    },
    resize(value) {
      concurrency = value
      fill()
    },
    giveBack,
  }
}
