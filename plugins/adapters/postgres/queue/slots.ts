import type { Clock, JobRecord, Lease, Processor, Settlement } from '../../../../kernel/index.ts'
import type { Arrivals } from './arrivals.ts'
import type { Claim } from './claim.ts'
import type { Pace } from './pace.ts'
import { recordOf, type JobRow } from './record.ts'
import { returned, settlementOf, type Settled } from './settlement.ts'
import type { Signals } from './signals.ts'

/** A job that was just claimed, and the address of its row. */
export interface ClaimedRow extends JobRow {
  at: string
}

interface Claimed extends Claim {
  /** Read when the job begins: what a row tells is many times as large once it is taken apart. */
  readonly row: ClaimedRow
  readonly claimedAt: number
  lost: boolean
  onLost: (() => void) | undefined
  /** Whether it takes a slot. */
  busy: boolean
  /** Whether it waits for its worker, or has done so. */
  parked: boolean
}

export interface Slots {
  /** Jobs by their id in pg-boss. */
  readonly held: ReadonlyMap<string, Claim>
  /** How many take no job at the moment; less than nothing after there were more of them. */
  readonly free: number
  /** Jobs that wait, or have waited, for their worker, beside those in slots. */
  readonly parked: number
  /** Jobs that wait for a slot. */
  readonly waiting: number
  /** Takes jobs that were claimed; `fill` starts them. */
  add(rows: readonly ClaimedRow[]): void
  fill(): void
  resize(concurrency: number): void
  /** Gives back what waits for a slot. */
  giveBack(): void
}

export interface SlotsHost {
  clock: Clock
  signals: Signals
  arrivals: Arrivals
  pace: Pace
  progress(claim: Claim, record: JobRecord, value: number): Promise<void>
  /** Told of each job that has run or goes back. */
  settled(one: Settled): void
  /** Told of each job that went to another worker while this process lives. */
  lapsed(claim: Claim): void
  /** Told when it cannot be stored how a job ended. */
  unstorable(record: JobRecord, problem: unknown): void
  /** Told when a slot or a job has become free. */
  changed(): void
}

/** Milliseconds that a claimed job waits for a slot before others may have it. */
const LONGEST_WAIT = 1000
/** Milliseconds that a job rests whose processor has rejected. */
const AFTER_REJECTION = 1000
/** Milliseconds for which handlers may follow each other without a break. */
const LONGEST_BURST = 10

/** Runs claimed jobs, so many at once. */
export function createSlots(queue: string, processor: Processor, initialConcurrency: number, host: SlotsHost): Slots {
  const { clock, signals, pace } = host
  const held = new Map<string, Claimed>()
  let concurrency = initialConcurrency
  /** Slots that are taken: by jobs, and by code that outlived its job. */
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
      at: row.at,
      count: row.retry_count,
      row,
      since: now,
      claimedAt: now,
      busy: false,
      parked: false,
      lost: false,
      onLost: undefined,
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
    const end = performance.now() + LONGEST_BURST
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

  /** Slots may turn out to be taken for long. */
  function watch(): void {
    const next = waiting[0]
    if (!next || watching) return
    const look = (): void => {
      watching = undefined
      if (waiting[0] !== next) return watch()
      pace.slow()
      giveBack()
    }
    watching = setTimeout(look, Math.max(0, next.claimedAt + LONGEST_WAIT - performance.now())).unref()
  }

  function start(job: Claimed): void {
    if (job.lost) return forget(job)
    job.busy = true
    taken++
    const record = recordOf(queue, job.row, 'active')
    // The database has decided that it is due, whatever the clock here says.
    record.runAt = Math.min(record.runAt, clock.now())
    host.arrivals.claimed(record)
    if (signals.any) signals.emit('active', queue, () => ({ ...record }))
    void processor(record, leaseOf(job, record)).then(
      (settlement) => end(job, record, settlement),
      // A processor does not reject. One that does has run nothing to an end.
      () => end(job, record, { type: 'defer', runAt: clock.now() + AFTER_REJECTION }),
    )
  }

  function leaseOf(job: Claimed, record: JobRecord): Lease {
    return {
      onLost: (tell) => void (job.onLost = tell),
      handled() {
        pace.handled()
        // One after the other means that the end of one is stored before the next begins.
        if (concurrency > 1) release(job)
      },
      parked() {
        if (!job.parked) parked++
        job.parked = true
        release(job)
      },
      progress: (value) => host.progress(job, record, value),
    }
  }

  function end(job: Claimed, record: JobRecord, settlement: Settlement): void {
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
    resize(value) {
      concurrency = value
      fill()
    },
    giveBack,
  }
}
