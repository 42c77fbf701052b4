import { timerDelay, type Clock, type JobRecord, type Processor, type Settlement } from '../../../../kernel/index.ts'
import type { QueueEvent } from '../../../../kernel/index.ts'
import { quoteName, type PostgresPort } from '../lib/postgres.ts'
import type { Consumer } from '../../lib/worker-manager.ts'
import type { Arrivals } from './arrivals.ts'
import { createBacklog } from './backlog.ts'
import { encodeQueue } from './names.ts'
import { createEndings } from './endings.ts'
import { createPolls } from './polls.ts'
import { recordOf } from './record.ts'
import { returned, settlementOf, unreadableJob, type Settled } from './settlement.ts'
import type { Listeners } from '../../lib/listeners.ts'
import { createPrefetch } from '../../lib/prefetch.ts'
import { createSlots, MAX_CALLS } from '../../lib/slots.ts'
import { claimOf, type ClaimedJob } from './claim.ts'
import { readPoll, type PollRow } from './poll-rows.ts'

export interface QueueConsumer extends Consumer {
  /** The name of the queue in pg-boss. */
  readonly name: string
  /** Jobs by their id in pg-boss. */
  readonly held: ReadonlyMap<string, ClaimedJob>
  /** Call this when another worker has claimed a job. */
  lose(claim: ClaimedJob): void
  /** Call this when there may be a job to claim. */
  wake(): void
  /** Stops permanently, after all settlements are stored. */
  stop(): Promise<void>
}

export interface ConsumerHost {
  db: PostgresPort
  clock: Clock
  listeners: Listeners
  arrivals: Arrivals
  progress(name: string, claim: ClaimedJob, record: JobRecord, value: number): Promise<void>
  /** Reverts the crash that was counted for a job whose process is alive. */
  lapsed(queue: string, claim: ClaimedJob): void
  /** Notifies all instances that the queue may have jobs. */
  announce(name: string): Promise<unknown>
  /** Called when the consumer is closed. */
  onClose(consumer: QueueConsumer): void
}

/** The minimum number of settlements and claims for a second poll. The overhead of a poll equals that of ten jobs. */
const MIN_SECOND_POLL = 25

/**
 * Creates the consumer of one queue. Each poll is one round trip. It settles jobs that have run, and claims jobs for slots that are
 * free or will soon be free. While polls are in flight, work for the next one is collected.
 *
 *     schedule() ── setImmediate ──> poll() ──> nq_take_turn ──> read() ──> slots.add(), slots.fill()
 *        ^                                                         │
 *        ├── a job was settled, a slot became free, wake()         ├── got all (`lastClaimWasFull`) ──> schedule()
 *        └── timer: next due job, or pollInterval <────────────────┴── got fewer: `mayHaveJobs` = false
 *
 * `lib/slots.ts` shows the states of a job, `backlog.ts` handles failed polls.
 */
export function createConsumer(
  queue: string,
  processor: Processor,
  initialConcurrency: number,
  host: ConsumerHost,
): QueueConsumer {
  const { db, clock, listeners } = host
  const name = encodeQueue(queue)
  const pollText = `SELECT * FROM ${quoteName(db.schema)}.nq_take_turn($1, $2, $3, $4, $5, $6, $7)`
  const prefetch = createPrefetch()
  const slots = createSlots<ClaimedJob>(initialConcurrency, {
    clock,
    prefetch,
    processor,
    started,
    progress: (claim, record, value) => host.progress(name, claim, record, value),
    ending: (claim, record, key) => endings.of(claim, record, key),
    unreadable,
    ended,
    returned: (claims) => claims.forEach((claim) => onSettled(returned(claim))),
    dropped: (claim) => host.lapsed(queue, claim),
    changed: schedule,
  })
  const settled = createBacklog(queue, db.reporter)
  let open = true
  let stopped = false
  /** True if there may be a job to claim. `wakes` counts how often the consumer was woken. */
  let mayHaveJobs = true
  let wakes = 0
  /** True if the last claim returned as many jobs as requested. */
  let lastClaimWasFull = false
  /** The moment until which the queue is held. Jobs that are claimed before it return to the queue. */
  let heldUntil = 0
  const polls = createPolls()
  const endings = createEndings({
    ...{ queue: name, db, clock, listeners, slots, polls },
    mayJoin: () => open && polls.inFlight === 0 && settled.length === 0 && clock.now() >= heldUntil,
    begin() {
      const wakesBefore = wakes
      return (full, due) => onClaimed(full, wakesBefore, due)
    },
    mayStart: () => open && clock.now() >= heldUntil,
    changed: schedule,
  })
  let scheduled = false
  let timer: NodeJS.Timeout | undefined
  let whenIdle: (() => void)[] = []

  function schedule(): void {
    if (scheduled || polls.inFlight === MAX_CALLS) return
    const wanted = wantedNow()
    if (settled.length === 0 && wanted === 0) return checkIdle()
    if (polls.inFlight > 0 && settled.length + wanted < MIN_SECOND_POLL) return
    scheduled = true
    setImmediate(() => {
      scheduled = false
      void poll()
    })
  }

  /** Returns how many jobs a poll would claim. A second poll claims only while claims are full. */
  function wantedNow(): number {
    if (!open || !mayHaveJobs || (polls.claiming > 0 && !lastClaimWasFull)) return 0
    return slots.wanted({ pending: polls.pendingClaims, least: MIN_SECOND_POLL })
  }

  function started(claim: ClaimedJob): JobRecord {
    const record = recordOf(queue, claim.row, 'active')
    // The database decided that the job is due, even if the clock of this machine is behind.
    record.runAt = Math.min(record.runAt, clock.now())
    host.arrivals.claimed(record)
    if (listeners.any) listeners.emit('active', queue, () => ({ ...record }))
    return record
  }

  function unreadable(claim: ClaimedJob, error: unknown): void {
    db.reporter.error(`Job ${claim.key} of queue "${queue}" cannot be read, so it has failed.`, error)
    onSettled(unreadableJob(claim, error))
  }

  function ended(claim: ClaimedJob, record: JobRecord, settlement: Settlement): void {
    if (claim.stored) return claim.settled?.notify(emit)
    if (settlement.type === 'lost') host.lapsed(queue, claim)
    else onSettled(settlementOf(claim, record, settlement, clock.now(), (problem) => unstorable(record, problem)))
    slots.release(claim, settlement.slot)
  }

  function unstorable({ id }: JobRecord, problem: unknown): void {
    db.reporter.error(`The outcome of job "${id}" cannot be stored. The job will run again.`, problem)
  }

  function onSettled(one: Settled): void {
    settled.push(one)
    // A job that runs again can be claimed.
    if (one.again) markAwake()
    if (one.hold > 0) {
      heldUntil = Math.max(heldUntil, clock.now() + one.hold)
      slots.giveBack()
    }
  }

  function checkIdle(): void {
    if (slots.held.size > 0 || settled.length > 0 || polls.inFlight > 0) return
    for (const resolve of whenIdle) resolve()
    whenIdle = []
  }

  async function poll(): Promise<void> {
    // Read `isolating` before `take()`: a batch that is being isolated is sent without claims.
    const isolating = settled.isolating
    const batch = settled.take()
    const wanted = isolating && batch.length > 0 ? 0 : wantedNow()
    const wakesBefore = wakes
    const done = polls.begin(wanted)
    const began = performance.now()
    const settle = batch.length === 0 ? null : `[${batch.map(({ text }) => text).join(',')}]`
    const ctids = batch.map(({ ctid }) => ctid)
    const returnSettled = listeners.any
    const hold = Math.max(0, ...batch.map((one) => one.hold))
    try {
      let repeated = false
      const onRepeat = (): void => void (repeated = true)
      const values = [name, wanted, db.lease, settle, ctids, returnSettled, hold]
      const response = db.query<PollRow>(pollText, values, { repeatable: true, onRepeat })
      schedule()
      const rows = await response
      done()
      settled.worked()
      const { claimed, due, settledIds } = readPoll(rows)
      for (const one of batch) {
        // A repeated poll does not find the jobs that its first copy has settled.
        if (listeners.any && (repeated || settledIds.has(one.uuid))) one.notify(emit)
      }
      if (wanted > 0) {
        prefetch.polled(performance.now() - began)
        onClaimed(claimed.length === wanted, wakesBefore, due)
      }
      slots.add(claimed.map(claimOf))
      if (open && clock.now() >= heldUntil) slots.fill()
      else slots.giveBack()
      if (batch.some((one) => one.returned)) announce()
    } catch (error) {
      done()
      if (stopped) return
      mayHaveJobs = true
      await pause(settled.failed(batch, error))
    }
    schedule()
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms))
  }

  function announce(): void {
    const failed = (error: unknown): void =>
      db.reporter.warn(`Other processes were not notified of jobs that returned to queue "${queue}".`, error)
    host.announce(name).catch(failed)
  }

  function onClaimed(full: boolean, wakesBefore: number, due: number | null): void {
    lastClaimWasFull = full
    if (full) mayHaveJobs = true
    else {
      // If the consumer was woken during the poll, the poll may not have seen the new job.
      if (wakes === wakesBefore) mayHaveJobs = false
      arm(due)
    }
  }

  function emit(event: QueueEvent, record: JobRecord): void {
    listeners.emit(event, queue, () => ({ ...record }))
  }

  /** Sets one timer for the next due job, and for jobs whose notification was lost. */
  function arm(due: number | null): void {
    clearTimeout(timer)
    const wait = due === null ? db.pollInterval : Math.max(0, Math.min(due, db.pollInterval))
    timer = setTimeout(wake, timerDelay(Math.ceil(wait)))
  }

  function wake(): void {
    markAwake()
    schedule()
  }

  function markAwake(): void {
    mayHaveJobs = true
    wakes++
  }

  function idle(): Promise<void> {
    return new Promise((resolve) => {
      whenIdle.push(resolve)
      schedule()
    })
  }

  const consumer: QueueConsumer = {
    name,
    held: slots.held,
    lose: slots.lose,
    wake,
    setConcurrency(value) {
      slots.resize(value)
      wake()
    },
    async close({ timeout }) {
      open = false
      clearTimeout(timer)
      slots.giveBack()
      const timedOut = Promise.withResolvers<void>()
      const limit = timeout === Infinity ? undefined : setTimeout(timedOut.resolve, timerDelay(timeout))
      await Promise.race([idle(), timedOut.promise])
      clearTimeout(limit)
      if (slots.held.size === 0) host.onClose(consumer)
    },
    async stop() {
      open = false
      clearTimeout(timer)
      slots.giveBack()
      await Promise.race([idle(), new Promise((resolve) => setTimeout(resolve, 2000).unref())])
      stopped = true
      host.onClose(consumer)
    },
  }
  schedule()
  return consumer
}
