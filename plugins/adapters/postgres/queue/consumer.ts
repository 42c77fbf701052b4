import { timerDelay, type Clock, type JobRecord, type Processor } from '../../../../kernel/index.ts'
import type { Ending, QueueEvent } from '../../../../kernel/index.ts'
import type { AppendCarrier, JoinedTurn } from '../lib/joined-turn.ts'
import { quoteName, type PostgresPort } from '../lib/postgres.ts'
import type { Consumer } from '../../lib/worker-manager.ts'
import type { Arrivals } from './arrivals.ts'
import { createBacklog } from './backlog.ts'
import { encodeQueue } from './names.ts'
import { createPolls } from './polls.ts'
import { createPrefetch } from './prefetch.ts'
import { settlementOf, type Settled } from './settlement.ts'
import type { Listeners } from '../../lib/listeners.ts'
import type { Claim } from './claim.ts'
import { createSlots, type Claimed } from './slots.ts'
import { readTurn, type TurnRow } from './turn.ts'

export interface QueueConsumer extends Consumer {
  /** The name of the queue in pg-boss. */
  readonly name: string
  /** Jobs by their id in pg-boss. */
  readonly held: ReadonlyMap<string, Claim>
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
  progress(name: string, claim: Claim, record: JobRecord, value: number): Promise<void>
  /** Reverts the crash that was counted for a job whose process is alive. */
  lapsed(queue: string, claim: Claim): void
  /** Notifies all instances that the queue may have jobs. */
  announce(name: string): Promise<unknown>
  /** Called when the consumer is closed. */
  onClose(consumer: QueueConsumer): void
}

/** The maximum number of polls in flight. With two, jobs are settled while the next ones are claimed. */
const MAX_POLLS = 2
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
 * `slots.ts` shows the states of a job, `backlog.ts` handles failed polls.
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
  const slots = createSlots(queue, processor, initialConcurrency, {
    clock,
    listeners,
    arrivals: host.arrivals,
    prefetch,
    progress: (claim, record, value) => host.progress(name, claim, record, value),
    ending: endingOf,
    settled: onSettled,
    finished: (one) => one?.notify(emit),
    lapsed: (claim) => host.lapsed(queue, claim),
    unstorable: ({ id }, problem) =>
      db.reporter.error(`The outcome of job "${id}" cannot be stored. The job will run again.`, problem),
    changed: schedule,
  })
  let concurrency = initialConcurrency
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
  let scheduled = false
  let timer: NodeJS.Timeout | undefined
  let whenIdle: (() => void)[] = []

  function schedule(): void {
    if (scheduled || polls.inFlight === MAX_POLLS) return
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
    const extra = concurrency > 1 ? prefetch.count : 0
    const share = Math.max(MIN_SECOND_POLL, Math.ceil(Math.max(concurrency, extra) / MAX_POLLS))
    // About as many jobs as wait for a slot have a settlement in flight.
    const room = concurrency + 2 * extra + slots.parked - slots.held.size
    const needed = Math.max(slots.free, extra) - slots.waiting
    return Math.max(0, Math.min(Math.min(needed, room) - polls.pendingClaims, share))
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
      const response = db.query<TurnRow>(pollText, values, { repeatable: true, onRepeat })
      schedule()
      const rows = await response
      done()
      settled.worked()
      const { claimed, due, settledIds } = readTurn(rows)
      for (const one of batch) {
        // A repeated poll does not find the jobs that its first copy has settled.
        if (listeners.any && (repeated || settledIds.has(one.uuid))) one.notify(emit)
      }
      if (wanted > 0) {
        prefetch.polled(performance.now() - began)
        onClaimed(claimed.length === wanted, wakesBefore, due)
      }
      slots.add(claimed)
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

  /** Joins the settlement of a completed job and the next claim to the append of its end, if nothing else waits to be stored. */
  function endingOf(job: Claimed, record: JobRecord, key: string): Ending {
    return {
      key,
      store: db,
      sent({ data }, carrier) {
        if (!open || polls.inFlight > 0 || settled.length > 0 || job.lost || clock.now() < heldUntil) return
        const { result } = data as { result?: unknown }
        let isStorable = true
        const refuse = (): void => void (isStorable = false)
        const one = settlementOf(job, record, { type: 'completed', result }, clock.now(), refuse)
        // The runner's settlement reports what cannot be stored.
        if (isStorable) (carrier as AppendCarrier).join(turnOf(job, one))
      },
    }
  }

  function turnOf(job: Claimed, one: Settled): JoinedTurn {
    const done = polls.begin(1)
    const wakesBefore = wakes
    return {
      ...{ queue: name, lease: db.lease, settle: `[${one.text}]`, ctid: one.ctid, returnSettled: listeners.any },
      done(rows, repeated) {
        done()
        const { claimed, due, settledIds } = readTurn(rows as TurnRow[])
        onClaimed(claimed.length === 1, wakesBefore, due)
        slots.add(claimed)
        if (!open || clock.now() < heldUntil) slots.giveBack()
        slots.stored(job, repeated || settledIds.has(one.uuid) ? one : undefined)
        schedule()
      },
      undone() {
        done()
        schedule()
      },
    }
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
    wake,
    setConcurrency(value) {
      concurrency = value
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
