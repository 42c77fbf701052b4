import type { Clock, JobRecord, Processor, QueueEvent, Settlement } from '../../kernel/index.ts'
import { toError } from '../../kernel/index.ts'
import { quoteName, type PostgresPort } from '../_shared/postgres.ts'
import type { Consumer } from '../_shared/worker-manager.ts'
import { encodeQueue } from './names.ts'
import { recordOf, type JobRow } from './record.ts'
import { settlementOf, type Settled } from './settlement.ts'
import type { Arrivals } from './arrivals.ts'
import type { Signals } from './signals.ts'

/** A job that this process holds. */
export interface Held {
  readonly uuid: string
  /** What pg-boss counts its claims with. */
  readonly count: number
  readonly record: JobRecord
  readonly lost: AbortController
  /** When it was claimed, or its lease last renewed. */
  since: number
}

interface TurnRow extends JobRow {
  kind: 's' | 'c' | 'd'
}

export interface QueueConsumer extends Consumer {
  /** The queue in pg-boss. */
  readonly name: string
  /** Jobs by their id in pg-boss. */
  readonly held: ReadonlyMap<string, Held>
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
  progress(name: string, held: Held, value: number): Promise<void>
  /** Told when the consumer is gone. */
  onClose(consumer: QueueConsumer): void
}

/** How many turns may be under way at once, so that the jobs of one are stored while the next are claimed. */
const MOST_TURNS = 2
/** How much a turn beside another has to carry: one costs as much as ten jobs, however few it is for. */
const WORTH_A_TURN = 25
/** The longest wait that a timer takes. */
const LONGEST_TIMER = 2_147_483_647

/**
 * Runs the jobs of one queue. Each turn is one round trip that settles what has run and claims jobs for
 * the slots that are free; while turns are under way the next one gathers.
 */
export function createConsumer(
  queue: string,
  processor: Processor,
  initialConcurrency: number,
  host: ConsumerHost,
): QueueConsumer {
  const { db, clock, signals } = host
  const name = encodeQueue(queue)
  const turn = `SELECT * FROM ${quoteName(db.schema)}.nq_turn($1, $2, $3, $4, $5)`
  const held = new Map<string, Held>()
  let concurrency = initialConcurrency
  /** Slots that are taken: by jobs, by code that outlived its job, by claims that are under way. */
  let taken = 0
  let settled: Settled[] = []
  let open = true
  let stopped = false
  /** Whether there may be a job that could be claimed, and how often that was told. */
  let hungry = true
  let wakes = 0
  /** Whether the last claim got all it asked for. */
  let fruitful = false
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
    const share = Math.max(WORTH_A_TURN, Math.ceil(concurrency / MOST_TURNS))
    return Math.max(0, Math.min(concurrency - taken, share))
  }

  function checkIdle(): void {
    if (held.size > 0 || settled.length > 0 || turns > 0) return
    for (const resolve of whenIdle) resolve()
    whenIdle = []
  }

  async function takeTurn(): Promise<void> {
    const batch = settled
    settled = []
    const wanted = wantedNow()
    const known = wakes
    const claim = wanted > 0 ? 1 : 0
    turns++
    claims += claim
    taken += wanted
    const over = (): void => {
      turns--
      claims -= claim
      taken -= wanted
    }
    const settle = batch.length === 0 ? null : `[${batch.map(({ text }) => text).join(',')}]`
    const hold = Math.max(0, ...batch.map((one) => one.hold))
    try {
      let repeated = false
      const onRepeat = (): void => void (repeated = true)
      const values = [name, wanted, db.lease, settle, hold]
      const turned = db.query<TurnRow>(turn, values, { repeatable: true, onRepeat })
      schedule()
      const rows = await turned
      over()
      const { claimed, due } = read(batch, rows, repeated)
      for (const row of claimed) start(row)
      if (wanted > 0) noteClaim(claimed.length === wanted, known, due)
    } catch (error) {
      over()
      if (stopped) return
      db.reporter.error(`Queue "${queue}" could not settle or claim jobs; it will try again.`, error)
      settled = [...batch, ...settled]
      hungry = true
      await new Promise((resolve) => setTimeout(resolve, 1000))
    }
    schedule()
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
    timer = setTimeout(wake, Math.min(Math.ceil(wait), LONGEST_TIMER))
  }

  function wake(): void {
    notice()
    schedule()
  }

  function notice(): void {
    hungry = true
    wakes++
  }

  function start(row: TurnRow): void {
    const record = recordOf(queue, row, 'active')
    const now = clock.now()
    // The database has decided that it is due, whatever the clock here says.
    if (record.runAt > now) record.runAt = now
    held.get(row.id)?.lost.abort()
    const job: Held = { uuid: row.id, count: row.retry_count, record, lost: new AbortController(), since: now }
    held.set(row.id, job)
    taken++
    host.arrivals.claimed(record)
    if (signals.any) tell('active', record)
    const progress = (value: number): Promise<void> => host.progress(name, job, value)
    void processor(record, { signal: job.lost.signal, progress }).then(
      (settlement) => end(job, settlement),
      (error: unknown) => end(job, { type: 'defer', runAt: clock.now(), slot: Promise.reject(toError(error)) }),
    )
  }

  function end(job: Held, settlement: Settlement): void {
    if (held.get(job.uuid) === job) held.delete(job.uuid)
    const { slot } = settlement
    if (slot) void slot.catch(() => {}).then(release)
    else taken--
    if (settlement.type !== 'lost') {
      const one = settlementOf(job, settlement, clock.now())
      settled.push(one)
      // The turn that settles it also tells when it is due.
      if (one.again) notice()
    }
    schedule()
  }

  function release(): void {
    taken--
    schedule()
  }

  function idle(): Promise<void> {
    return new Promise((resolve) => {
      whenIdle.push(resolve)
      schedule()
    })
  }

  const consumer: QueueConsumer = {
    name,
    held,
    wake,
    setConcurrency(value) {
      concurrency = value
      wake()
    },
    async close({ timeout }) {
      open = false
      clearTimeout(timer)
      const late = Promise.withResolvers<void>()
      const limit = timeout === Infinity ? undefined : setTimeout(late.resolve, timeout)
      await Promise.race([idle(), late.promise])
      clearTimeout(limit)
      if (held.size === 0) host.onClose(consumer)
    },
    async stop() {
      open = false
      clearTimeout(timer)
      await Promise.race([idle(), new Promise((resolve) => setTimeout(resolve, 2000).unref())])
      stopped = true
      host.onClose(consumer)
    },
  }
  schedule()
  return consumer
}
