import type { Clock, JobRecord, Processor, QueueEvent, Settlement } from '../../kernel/index.ts'
import { toError } from '../../kernel/index.ts'
import { quoteName, type PostgresPort } from '../_shared/postgres.ts'
import type { Consumer } from '../_shared/worker-manager.ts'
import { encodeQueue } from './names.ts'
import { recordOf, type JobRow } from './record.ts'
import { settlementOf, type Settled } from './settlement.ts'
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
  progress(name: string, held: Held, value: number): Promise<void>
  /** Told when the consumer is gone. */
  onClose(consumer: QueueConsumer): void
}

/** The longest wait that a timer takes. */
const LONGEST_TIMER = 2_147_483_647

/**
 * Runs the jobs of one queue. Each turn is one round trip that settles what has run and claims as many
 * jobs as there are free slots; while a turn is under way the next one gathers.
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
  /** Slots that are taken, by jobs or by code that outlived its job. */
  let taken = 0
  let settled: Settled[] = []
  let open = true
  let stopped = false
  /** Whether there may be a job that could be claimed. */
  let hungry = true
  let turning = false
  let scheduled = false
  let timer: NodeJS.Timeout | undefined
  let whenIdle: (() => void)[] = []

  function schedule(): void {
    if (scheduled || turning) return
    if (settled.length === 0 && !(open && hungry && taken < concurrency)) return checkIdle()
    scheduled = true
    setImmediate(() => {
      scheduled = false
      void takeTurn()
    })
  }

  function checkIdle(): void {
    if (held.size > 0 || settled.length > 0 || turning) return
    for (const resolve of whenIdle) resolve()
    whenIdle = []
  }

  async function takeTurn(): Promise<void> {
    turning = true
    const batch = settled
    settled = []
    const wanted = open && hungry ? Math.max(0, concurrency - taken) : 0
    if (wanted > 0) hungry = false
    const settle = batch.length === 0 ? null : `[${batch.map(({ text }) => text).join(',')}]`
    const hold = Math.max(0, ...batch.map((one) => one.hold))
    try {
      let repeated = false
      const onRepeat = (): void => void (repeated = true)
      const rows = await db.query<TurnRow>(turn, [name, wanted, db.lease, settle, hold], { repeatable: true, onRepeat })
      turning = false
      finish(batch, rows, wanted, repeated)
    } catch (error) {
      turning = false
      if (stopped) return
      db.reporter.error(`Queue "${queue}" could not settle or claim jobs; it will try again.`, error)
      settled = [...batch, ...settled]
      hungry = true
      await new Promise((resolve) => setTimeout(resolve, 1000))
    }
    schedule()
  }

  function finish(batch: readonly Settled[], rows: readonly TurnRow[], wanted: number, repeated: boolean): void {
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
    for (const row of claimed) start(row)
    if (wanted === 0) return
    if (claimed.length === wanted) hungry = true
    else arm(due)
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
    hungry = true
    schedule()
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
      if (one.again) hungry = true
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
      hungry = true
      schedule()
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
