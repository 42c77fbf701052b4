import type { Clock, Ending, JobRecord, Lease, Processor, Settlement } from '../../../kernel/index.ts'
import type { Prefetch } from './prefetch.ts'

/** What slots know of a claimed job. Adapters add how their store identifies it. */
export interface SlotJob {
  /** The id of the job in the store. */
  readonly key: string
  /** When the job was claimed, by `performance.now()`. */
  readonly claimedAt: number
  /** True if another consumer has claimed the job. */
  lost: boolean
  onLost: (() => void) | undefined
  /** True while the job uses a slot. */
  busy: boolean
  /** True if the job waits or has waited for its worker. */
  parked: boolean
}

export interface Slots<Job extends SlotJob> {
  /** Jobs that wait for a slot, run, or are parked, by `key`. */
  readonly held: ReadonlyMap<string, Job>
  /** Adds claimed jobs. `fill` starts them. */
  add(jobs: readonly Job[]): void
  /** Starts as many jobs as there are free slots. */
  fill(): void
  /** Returns how many jobs a call may claim. */
  wanted(demand: Demand): number
  /** Frees the slot of a job, at once or when `slot` resolves (see `Settlement`). */
  release(job: Job, slot?: Promise<unknown>): void
  /** Forgets a job whose outcome is stored while the runner still works with it, and frees its slot. */
  stored(job: Job): void
  /** Call this when another consumer has claimed a job. */
  lose(job: Job): void
  resize(concurrency: number): void
  /** Returns all jobs that wait for a slot to the queue. */
  giveBack(): void
}

export interface Demand {
  /** The number of jobs that calls in flight may claim. */
  pending: number
  /** How many jobs a call may claim even if each call in flight would get fewer. */
  least: number
  /** The number of slots that the settlements of the same call free. Default 0. */
  freed?: number
}

export interface SlotsHost<Job extends SlotJob> {
  clock: Pick<Clock, 'now'>
  prefetch: Prefetch
  processor: Processor
  /**
   * Returns the record of a job that starts. Jobs are decoded that late because decoded ones take many times the memory. It throws if the
   * stored job cannot be decoded.
   */
  started(job: Job): JobRecord
  /** Called instead of `ended` for a job that cannot be decoded. The host stores it as failed. */
  unreadable(job: Job, error: unknown): void
  progress(job: Job, record: JobRecord, value: number): Promise<void>
  /** Returns the ending of a job for the append that completes it (see `Lease`). Called with a concurrency of 1 only. */
  ending(job: Job, record: JobRecord, key: string): Ending
  /** Called when the runner has settled a job. The host stores the outcome, and calls `release`. */
  ended(job: Job, record: JobRecord, settlement: Settlement): void
  /** Called for jobs that wait for a slot and go back to the head of the queue, in the order in which they were claimed. */
  returned(jobs: readonly Job[]): void
  /** Called for a job that another consumer claimed while it waited here for a slot. */
  dropped(job: Job): void
  /** Called when a slot became free or a job has ended. */
  changed(): void
}

/** The calls of a consumer that are in flight at the same time. With two, neither the store nor this process waits for the other. */
export const MAX_CALLS = 2
/** How long a claimed job waits for a slot before it returns to the queue for other processes, in milliseconds. */
const MAX_WAIT = 1000
/** How long a job is deferred if its processor rejected, in milliseconds. */
const AFTER_REJECTION = 1000
/** How long jobs are started in a row before other work of the event loop may run, in milliseconds. */
const MAX_BURST = 10

/** Creates what slots know of a job that was just claimed. */
export function slotJob(key: string): SlotJob {
  return { key, claimedAt: performance.now(), lost: false, onLost: undefined, busy: false, parked: false }
}

/**
 * Runs claimed jobs in a limited number of slots, for the adapters with a server.
 *
 *     add() ──> waiting ── fill() ──> running (busy) ── handler returned, concurrency > 1 ──> running (no slot) ── ended()
 *                  │                      ├── parked ──> running (no slot) ── ended()
 *                  │                      ├── outcome stored, concurrency 1 ── stored() ──> ended()
 *                  │                      └── lose() ──> onLost ──> ended(`lost`)
 *                  ├── lose() ──> dropped()
 *                  ├── cannot be decoded ──> unreadable()
 *                  └── waited 1 s, close, hold ── giveBack() ──> returned()
 */
export function createSlots<Job extends SlotJob>(initialConcurrency: number, host: SlotsHost<Job>): Slots<Job> {
  const { clock, prefetch } = host
  const held = new Map<string, Job>()
  let concurrency = initialConcurrency
  /** The number of used slots, by jobs or by handler code that still runs after its job has ended. */
  let taken = 0
  let parked = 0
  let waiting: Job[] = []
  let filling = false
  let watching: NodeJS.Timeout | undefined

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

  function start(job: Job): void {
    if (job.lost) {
      forget(job)
      return host.dropped(job)
    }
    let record: JobRecord
    try {
      record = host.started(job)
    } catch (error) {
      forget(job)
      return host.unreadable(job, error)
    }
    job.busy = true
    taken++
    void host.processor(record, leaseOf(job, record)).then(
      (settlement) => end(job, record, settlement),
      // A processor must not reject. If it does, its job has not ended.
      () => end(job, record, { type: 'defer', runAt: clock.now() + AFTER_REJECTION }),
    )
  }

  function leaseOf(job: Job, record: JobRecord): Lease {
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

  function end(job: Job, record: JobRecord, settlement: Settlement): void {
    forget(job)
    host.ended(job, record, settlement)
    host.changed()
  }

  function forget(job: Job): void {
    if (job.parked) parked--
    job.parked = false
    if (held.get(job.key) === job) held.delete(job.key)
  }

  function release(job: Job): void {
    if (!job.busy) return
    job.busy = false
    taken--
    fill()
    host.changed()
  }

  function lose(job: Job): void {
    job.lost = true
    job.onLost?.()
  }

  function giveBack(): void {
    const jobs = waiting
    waiting = []
    for (const job of jobs) forget(job)
    for (const job of jobs) if (job.lost) host.dropped(job)
    const returned = jobs.filter(({ lost }) => !lost)
    if (returned.length > 0) host.returned(returned)
    host.changed()
  }

  return {
    held,
    add(jobs) {
      for (const job of jobs) {
        const earlier = held.get(job.key)
        if (earlier) lose(earlier)
        held.set(job.key, job)
        waiting.push(job)
      }
    },
    fill,
    wanted({ pending, least, freed = 0 }) {
      const ahead = concurrency > 1 ? prefetch.count : 0
      const share = Math.max(least, Math.ceil(Math.max(concurrency, ahead) / MAX_CALLS))
      // About as many jobs as wait for a slot have an outcome in flight.
      const room = concurrency + 2 * ahead + parked + freed - held.size
      const needed = Math.max(concurrency - taken + freed, ahead) - waiting.length
      return Math.max(0, Math.min(Math.min(needed, room) - pending, share))
    },
    release(job, slot) {
      if (slot && job.busy) void slot.then(() => release(job))
      else release(job)
    },
    stored(job) {
      forget(job)
      release(job)
    },
    lose,
    resize(value) {
      concurrency = value
      fill()
    },
    giveBack,
  }
}
