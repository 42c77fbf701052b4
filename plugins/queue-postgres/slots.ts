import type { Clock, JobRecord, Lease, Processor, Settlement } from '../../kernel/index.ts'
import { toError } from '../../kernel/index.ts'
import type { Arrivals } from './arrivals.ts'
import type { Pace } from './pace.ts'
import { recordOf, type JobRow } from './record.ts'
import { returned, settlementOf, type Settled } from './settlement.ts'
import type { Signals } from './signals.ts'

/** A job that was just claimed, and the address of its row. */
export interface ClaimedRow extends JobRow {
  at: string
}

/** A job that this process holds. */
export interface Held {
  readonly uuid: string
  readonly at: string
  /** What pg-boss counts its claims with. */
  readonly count: number
  readonly record: JobRecord
  /** When it was claimed, or its lease last renewed. */
  since: number
  /** It is somebody else's now. */
  lose(): void
}

interface Claimed extends Held {
  readonly claimedAt: number
  lost: boolean
  onLost: (() => void) | undefined
  /** Whether it takes a slot. */
  busy: boolean
}

export interface Slots {
  /** Jobs by their id in pg-boss. */
  readonly held: ReadonlyMap<string, Held>
  /** How many take no job at the moment; less than nothing after there were more of them. */
  readonly free: number
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
  progress(held: Held, value: number): Promise<void>
  /** Told of each job that has run or goes back. */
  settled(one: Settled): void
  /** Told when a slot or a job has become free. */
  changed(): void
}

/** Milliseconds that a claimed job waits for a slot before others may have it. */
const LONGEST_WAIT = 1000
/** Milliseconds for which handlers may follow each other without a break. */
const LONGEST_BURST = 10

/** Runs claimed jobs, so many at once. */
export function createSlots(queue: string, processor: Processor, initialConcurrency: number, host: SlotsHost): Slots {
  const { clock, signals, pace } = host
  const held = new Map<string, Claimed>()
  let concurrency = initialConcurrency
  /** Slots that are taken: by jobs, and by code that outlived its job. */
  let taken = 0
  let waiting: Claimed[] = []
  let filling = false
  let watching: NodeJS.Timeout | undefined

  function take(row: ClaimedRow): void {
    const record = recordOf(queue, row, 'active')
    const now = clock.now()
    // The database has decided that it is due, whatever the clock here says.
    if (record.runAt > now) record.runAt = now
    held.get(row.id)?.lose()
    const job: Claimed = {
      uuid: row.id,
      at: row.at,
      count: row.retry_count,
      record,
      since: now,
      claimedAt: now,
      busy: false,
      lost: false,
      onLost: undefined,
      lose() {
        job.lost = true
        job.onLost?.()
      },
    }
    held.set(row.id, job)
    host.arrivals.claimed(record)
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
    watching = setTimeout(look, Math.max(0, next.claimedAt + LONGEST_WAIT - clock.now())).unref()
  }

  function start(job: Claimed): void {
    if (job.lost) return forget(job)
    job.busy = true
    taken++
    if (signals.any) signals.emit('active', queue, () => ({ ...job.record }))
    void processor(job.record, leaseOf(job)).then(
      (settlement) => end(job, settlement),
      (error: unknown) => end(job, { type: 'defer', runAt: clock.now(), slot: Promise.reject(toError(error)) }),
    )
  }

  function leaseOf(job: Claimed): Lease {
    return {
      onLost: (tell) => void (job.onLost = tell),
      handled() {
        pace.handled()
        // One after the other means that the end of one is stored before the next begins.
        if (concurrency > 1) release(job)
      },
      progress: (value) => host.progress(job, value),
    }
  }

  function end(job: Claimed, settlement: Settlement): void {
    forget(job)
    if (settlement.type !== 'lost') host.settled(settlementOf(job, settlement, clock.now()))
    const { slot } = settlement
    if (slot && job.busy) void slot.catch(() => {}).then(() => release(job))
    else release(job)
    host.changed()
  }

  function forget(job: Claimed): void {
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
