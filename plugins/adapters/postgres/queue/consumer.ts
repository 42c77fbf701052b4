import { timerDelay, type Clock, type JobRecord, type Processor, type QueueEvent } from '../../../../kernel/index.ts'
import { quoteName, type PostgresPort } from '../lib/postgres.ts'
import type { Consumer } from '../../lib/worker-manager.ts'
import type { Arrivals } from './arrivals.ts'
import { createBacklog } from './backlog.ts'
import { encodeQueue } from './names.ts'
import { createPace } from './pace.ts'
import type { Settled } from './settlement.ts'
import type { Signals } from './signals.ts'
import type { Claim } from './claim.ts'
import { createSlots, type ClaimedRow } from './slots.ts'

interface TurnRow extends ClaimedRow {
  kind: 's' | 'c' | 'd'
}

export interface QueueConsumer extends Consumer {
  /** The queue in pg-boss. */
  readonly name: string
  /** Jobs by their id in pg-boss. */
  readonly held: ReadonlyMap<string, Claim>
  /** There may be work now. */
  wake(): void
  /** Stops for good, once what has run is settled. */
  stop(): Promise<void>
}

export interface ConsumerHost {
  db: PostgresPort
  clock: Clock
  signals: Signals
  arrivals: Arrivals
  progress(name: string, claim: Claim, record: JobRecord, value: number): Promise<void>
  /** Takes back the crash that was counted for a job whose process lives. */
  lapsed(queue: string, claim: Claim): void
  /** Tells all instances that there may be work. */
  announce(name: string): Promise<unknown>
  /** Told when the consumer is gone. */
  onClose(consumer: QueueConsumer): void
}

/** How many turns may be under way at once, so that the jobs of one are stored while the next are claimed. */
const MOST_TURNS = 2
/** How much a turn beside another has to carry: one costs as much as ten jobs, however few it is for. */
const WORTH_A_TURN = 25

/**
 * Runs the jobs of one queue. Each turn is one round trip that settles what has run and claims jobs for
 * the slots that are free, or are about to be; while turns are under way the next one gathers.
 */
export function createConsumer(
  queue: string,
  processor: Processor,
  initialConcurrency: number,
  host: ConsumerHost,
): QueueConsumer {
  const { db, clock, signals } = host
  const name = encodeQueue(queue)
  const turn = `SELECT * FROM ${quoteName(db.schema)}.nq_take_turn($1, $2, $3, $4, $5, $6, $7)`
  const pace = createPace()
  const slots = createSlots(queue, processor, initialConcurrency, {
    clock,
    signals,
    arrivals: host.arrivals,
    pace,
    progress: (claim, record, value) => host.progress(name, claim, record, value),
    settled: noteSettled,
    lapsed: (claim) => host.lapsed(queue, claim),
    unstorable: ({ id }, problem) =>
      db.reporter.error(`How job "${id}" ended cannot be stored; it will run again.`, problem),
    changed: schedule,
  })
  let concurrency = initialConcurrency
  /** What the claims may bring that are under way. */
  let coming = 0
  const settled = createBacklog(queue, db.reporter)
  let open = true
  let stopped = false
  /** Whether there may be a job that could be claimed, and how often that was told. */
  let hungry = true
  let wakes = 0
  /** Whether the last claim got all it asked for. */
  let fruitful = false
  /** Until when what is claimed goes back, since its queue is held. */
  let heldUntil = 0
  let turns = 0
  let claims = 0
  let scheduled = false
  let timer: NodeJS.Timeout | undefined
  let whenIdle: (() => void)[] = []

  function schedule(): void {
    if (scheduled || turns === MOST_TURNS) return
    const wanted = wantedNow()
    if (settled.length === 0 && wanted === 0) return checkIdle()
    if (turns > 0 && settled.length + wanted < WORTH_A_TURN) return
    scheduled = true
    setImmediate(() => {
      scheduled = false
      void takeTurn()
    })
  }

  /** How many jobs a turn would claim. A second one claims only while there is plenty. */
  function wantedNow(): number {
    if (!open || !hungry || (claims > 0 && !fruitful)) return 0
    const ahead = concurrency > 1 ? pace.ahead : 0
    const share = Math.max(WORTH_A_TURN, Math.ceil(Math.max(concurrency, ahead) / MOST_TURNS))
    // Beside those that wait for a slot there are about as many whose end is being stored.
    const room = concurrency + 2 * ahead + slots.parked - slots.held.size
    const line = Math.max(slots.free, ahead) - slots.waiting
    return Math.max(0, Math.min(Math.min(line, room) - coming, share))
  }

  function noteSettled(one: Settled): void {
    settled.push(one)
    // What goes on, or back, would be there for a claim.
    if (one.again) notice()
    if (one.hold > 0) {
      heldUntil = Math.max(heldUntil, clock.now() + one.hold)
      slots.giveBack()
    }
  }

  function checkIdle(): void {
    if (slots.held.size > 0 || settled.length > 0 || turns > 0) return
    for (const resolve of whenIdle) resolve()
    whenIdle = []
  }

  async function takeTurn(): Promise<void> {
    // In this order: what is being isolated travels alone.
    const alone = settled.isolating
    const batch = settled.take()
    const wanted = alone && batch.length > 0 ? 0 : wantedNow()
    const known = wakes
    const claim = wanted > 0 ? 1 : 0
    turns++
    claims += claim
    coming += wanted
    const over = (): void => {
      turns--
      claims -= claim
      coming -= wanted
    }
    const began = performance.now()
    const settle = batch.length === 0 ? null : `[${batch.map(({ text }) => text).join(',')}]`
    const rows = batch.map(({ at }) => at)
    const told = signals.any
    const hold = Math.max(0, ...batch.map((one) => one.hold))
    try {
      let repeated = false
      const onRepeat = (): void => void (repeated = true)
      const values = [name, wanted, db.lease, settle, rows, told, hold]
      const turned = db.query<TurnRow>(turn, values, { repeatable: true, onRepeat })
      schedule()
      const answer = await turned
      over()
      settled.worked()
      const { claimed, due } = read(batch, answer, repeated)
      if (wanted > 0) {
        pace.turned(performance.now() - began)
        noteClaim(claimed.length === wanted, known, due)
      }
      slots.add(claimed)
      if (open && clock.now() >= heldUntil) slots.fill()
      else slots.giveBack()
      if (batch.some((one) => one.returned)) announce()
    } catch (error) {
      over()
      if (stopped) return
      hungry = true
      await pause(settled.failed(batch, error))
    }
    schedule()
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms))
  }

  function announce(): void {
    const failed = (error: unknown): void =>
      db.reporter.warn(`Others were not told of jobs that were given back to queue "${queue}".`, error)
    host.announce(name).catch(failed)
  }

  function noteClaim(full: boolean, known: number, due: number | null): void {
    fruitful = full
    if (full) hungry = true
    else {
      // What came while the turn was under way, it may not have seen.
      if (wakes === known) hungry = false
      arm(due)
    }
  }

  /** Takes the answer of a turn apart, and tells what it has settled. */
  function read(batch: readonly Settled[], rows: readonly TurnRow[], repeated: boolean) {
    const told = new Set<string>()
    const claimed: TurnRow[] = []
    let due: number | null = null
    for (const row of rows) {
      if (row.kind === 's') told.add(row.id)
      else if (row.kind === 'c') claimed.push(row)
      else due = row.due
    }
    for (const one of batch) {
      // What the first copy of a turn has settled, its second one does not find.
      if ((repeated || told.has(one.uuid)) && signals.any) one.tell(tell)
    }
    claimed.sort((a, b) => b.priority - a.priority || a.created - b.created)
    return { claimed, due }
  }

  function tell(event: QueueEvent, record: JobRecord): void {
    signals.emit(event, queue, () => ({ ...record }))
  }

  /** One timer for the next job that is due, and for what no notification told of. */
  function arm(due: number | null): void {
    clearTimeout(timer)
    const wait = due === null ? db.pollInterval : Math.max(0, Math.min(due, db.pollInterval))
    timer = setTimeout(wake, timerDelay(Math.ceil(wait)))
  }

  function wake(): void {
    notice()
    schedule()
  }

  function notice(): void {
    hungry = true
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
      const late = Promise.withResolvers<void>()
      const limit = timeout === Infinity ? undefined : setTimeout(late.resolve, timerDelay(timeout))
      await Promise.race([idle(), late.promise])
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
