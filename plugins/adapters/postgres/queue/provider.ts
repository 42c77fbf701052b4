import {
  QueueError,
  type EnqueueReceipt,
  type JobRecord,
  type JobState,
  type Kernel,
  type QueueProvider,
} from '../../../../kernel/index.ts'
import { quoteName, type PostgresPort } from '../lib/postgres.ts'
import { changedJob } from '../../lib/job-marks.ts'
import { otherRound } from '../../lib/other-round.ts'
import { copyValue } from '../../../lib/value.ts'
import { within } from '../lib/within.ts'
import type { Boss } from './boss.ts'
import { createCleaner } from './clean.ts'
import { createJobStore } from './enqueue.ts'
import { createJobFinder } from './job-finder.ts'
import { decodeQueue, encodeQueue, isInternalQueue, jobUuid } from './names.ts'
import { encodeJsonb, STORED_COLUMNS, storedRecord, type StoredJobRow } from './record.ts'
import { DUE_KEY, dueOn } from './sql-fair-keys.ts'
import { hasMarks, LATER_ROUNDS, ROUND } from './marks.ts'
import { createJobLister } from './job-lister.ts'
import { queueLimitsOf, type LimitColumns } from './queue-limits.ts'
import type { Arrivals } from './arrivals.ts'
import type { Listeners } from '../../lib/listeners.ts'

export interface ProviderHost {
  kernel: Pick<Kernel, 'clock' | 'config'>
  db: PostgresPort
  boss: Boss
  listeners: Listeners
  arrivals: Arrivals
  /** Notifies all instances that a queue, by its name in pg-boss, may have jobs. */
  announce(name: string): Promise<unknown>
  /** Returns the queues that this process consumes, by their names in pg-boss. */
  consumed(): Iterable<string>
}

const REPEATABLE = { repeatable: true }
/** How long to wait for `enqueue` calls in flight when the provider is closed, in milliseconds. */
const CLOSE_TIMEOUT = 2000

/** Creates the port `queue` on top of pg-boss's tables. */
export function createPostgresQueues({
  kernel,
  db,
  boss,
  listeners,
  arrivals,
  announce,
  consumed,
}: ProviderHost): QueueProvider {
  const s = quoteName(db.schema)
  const store = createJobStore(db, boss, { clock: kernel.clock, payloadLimit: kernel.config.payloadLimit })
  const clean = createCleaner(db, (row) => {
    const queue = decodeQueue(row.name)
    listeners.emit('removed', queue, () => storedRecord(queue, row))
  })

  async function find(queue: string, id: string): Promise<StoredJobRow | undefined> {
    const text = `SELECT ${STORED_COLUMNS} FROM ${s}.job j WHERE j.name = $1 AND j.id = $2`
    return (await db.query<StoredJobRow>(text, [encodeQueue(queue), jobUuid(queue, id)], REPEATABLE))[0]
  }

  async function queueNames(): Promise<string[]> {
    const rows = await db.query<{ name: string }>(`SELECT name FROM ${s}.queue`, [], REPEATABLE)
    return rows.map(({ name }) => name)
  }

  const finder = createJobFinder(db, queueNames)

  /** Updates a job if a condition holds. Returns the updated job. */
  async function change(
    queue: string,
    id: string,
    set: string,
    where: string,
    more: readonly unknown[] = [],
    from = '(SELECT)',
  ): Promise<JobRecord | undefined> {
    const text = `UPDATE ${s}.job j SET ${set} FROM ${from} x WHERE j.name = $1 AND j.id = $2 AND ${where} RETURNING ${STORED_COLUMNS}`
    const [row] = await db.query<StoredJobRow>(text, [encodeQueue(queue), jobUuid(queue, id), ...more])
    return row && storedRecord(queue, row)
  }

  /** Returns the assignment that changes members of the envelope. */
  const patch = (fields: string, without = ''): string =>
    `trace_context = jsonb_set(coalesce(j.trace_context, '{}'), '{nq}',
      coalesce(j.trace_context -> 'nq', '{}')${without} || jsonb_build_object(${fields}))`
  const NOW_MS = 'floor(extract(epoch FROM clock_timestamp()) * 1000)'

  const wakeUp = (queue: string): Promise<unknown> => announce(encodeQueue(queue))

  async function setPaused(queue: string, paused: boolean): Promise<void> {
    const text = `INSERT INTO ${s}.nq_queue AS q (name, paused) VALUES ($1, $2)
      ON CONFLICT (name) DO UPDATE SET paused = excluded.paused WHERE q.paused <> excluded.paused RETURNING paused`
    const changed = await db.query(text, [encodeQueue(queue), paused], REPEATABLE)
    if (changed.length === 0) return
    listeners.emit(paused ? 'paused' : 'resumed', queue)
    if (!paused) await wakeUp(queue)
  }

  return {
    lease: db.lease,
    capabilities: {
      durable: true,
      shared: db.backend === 'postgres',
      delay: true,
      priority: true,
      maxQueueSize: false,
      progress: true,
      transaction: db.backend === 'postgres',
      search: true,
      searchData: true,
      fairness: true,
      queueLimits: true,
    },
    async enqueue(draft, options) {
      if (options?.db) return store.one(draft, options)
      return (await arrivals.store([draft], async () => [await store.one(draft)]))[0]!
    },
    enqueueMany(drafts, options) {
      const send = (): Promise<EnqueueReceipt[]> => store.many(drafts, options)
      return options?.[0]?.db ? send() : arrivals.store(drafts, send)
    },
    async getJob(queue, id) {
      const row = await find(queue, id)
      return row && storedRecord(queue, row)
    },
    getJobs: createJobLister(db, queueNames),
    async getJobCounts(queue) {
      const text = `SELECT * FROM ${s}.nq_counts($1)`
      const [counts] = await db.query<Record<JobState, number>>(text, [encodeQueue(queue)], REPEATABLE)
      return counts!
    },
    ...finder,
    async getQueues() {
      // The order makes each queue one look into the primary key. Without it, PostgreSQL may read all jobs.
      const text = `SELECT q.name FROM ${s}.queue q
        CROSS JOIN LATERAL (SELECT FROM ${s}.job j WHERE j.name = q.name ORDER BY j.name, j.id LIMIT 1) j`
      const rows = await db.query<{ name: string }>(text, [], REPEATABLE)
      const names = new Set([...rows.map(({ name }) => name), ...consumed()])
      return [...names].filter((name) => !isInternalQueue(name)).map(decodeQueue)
    },
    pause: (queue) => setPaused(queue, true),
    resume: (queue) => setPaused(queue, false),
    async isPaused(queue) {
      const text = `SELECT paused FROM ${s}.nq_queue WHERE name = $1`
      return (await db.query<{ paused: boolean }>(text, [encodeQueue(queue)], REPEATABLE))[0]?.paused ?? false
    },
    // A change of the rate begins a new period.
    async setLimits(queue, { concurrency, rate }) {
      const text = `INSERT INTO ${s}.nq_queue AS q (name, concurrency, rate_limit, rate_period) VALUES ($1, $2, $3, $4)
        ON CONFLICT (name) DO UPDATE SET
          concurrency = CASE WHEN $5 THEN excluded.concurrency ELSE q.concurrency END,
          rate_limit = CASE WHEN $6 THEN excluded.rate_limit ELSE q.rate_limit END,
          rate_period = CASE WHEN $6 THEN excluded.rate_period ELSE q.rate_period END,
          rate_used = CASE WHEN $6 THEN 0 ELSE q.rate_used END,
          rate_until = CASE WHEN $6 THEN NULL ELSE q.rate_until END`
      const values = [concurrency ?? null, rate?.limit ?? null, rate?.period ?? null]
      const changed = [concurrency !== undefined, rate !== undefined]
      await db.query(text, [encodeQueue(queue), ...values, ...changed], REPEATABLE)
      await wakeUp(queue)
    },
    async getLimits(queue) {
      const text = `SELECT concurrency, rate_limit, rate_period FROM ${s}.nq_queue WHERE name = $1`
      return queueLimitsOf((await db.query<LimitColumns>(text, [encodeQueue(queue)], REPEATABLE))[0])
    },
    async retry(queue, id, { round, ...edited } = {}) {
      const hasData = 'data' in edited
      const data = hasData ? copyValue(edited.data, kernel.config.payloadLimit, `data of job "${id}"`) : undefined
      const more = hasData ? [round ?? null, data === undefined ? null : encodeJsonb(data)] : [round ?? null]
      const set = `${hasData ? `data = nullif($4::jsonb, 'null'), ` : ''}state = 'retry', start_after = clock_timestamp(), created_on = ${dueOn('clock_timestamp()')},
        singleton_key = ${DUE_KEY}, completed_on = NULL,
        output = NULL, ${patch(
          `'attempts', 0, 'c', 0, 'k', ${ROUND} + 1, 'x', ${NOW_MS}${hasData && data === undefined ? `, 'z', true` : ''}`,
          ` - 'g' - 'u'${hasData ? ` - 'z'` : ''}`,
        )}`
      const where = `j.state IN ('failed', 'cancelled') AND coalesce($3::int = ${ROUND} + ${LATER_ROUNDS}, true)`
      const job = await change(queue, id, set, where, more)
      if (job) {
        listeners.emit('waiting', queue, () => job)
        return void (await wakeUp(queue))
      }
      const row = await find(queue, id)
      if (!row) throw new QueueError('JOB_NOT_FOUND', `Queue "${queue}" has no job "${id}".`)
      const found = storedRecord(queue, row)
      if (found.round !== (round ?? found.round)) throw otherRound(id, found.round)
      const message = `Job "${id}" is ${found.state}. Only a failed or cancelled job can be retried.`
      throw new QueueError('JOB_STATE', message)
    },
    async reschedule(queue, id, runAt) {
      const set = `start_after = x.due, created_on = ${dueOn('x.due')}, singleton_key = ${DUE_KEY},
        ${patch(`'x', floor(extract(epoch FROM x.due) * 1000)`)}`
      const due = `(SELECT greatest(to_timestamp($3::float8 / 1000), clock_timestamp()) AS due)`
      const job = await change(queue, id, set, `j.state < 'active'`, [runAt], due)
      if (!job) return false
      listeners.emit(job.state === 'delayed' ? 'delayed' : 'waiting', queue, () => job)
      await wakeUp(queue)
      return true
    },
    async promote(queue, id) {
      const set = `start_after = CASE WHEN j.state = 'active' THEN j.start_after ELSE clock_timestamp() END,
        created_on = CASE WHEN j.state = 'active' THEN j.created_on ELSE ${dueOn('clock_timestamp()')} END,
        singleton_key = CASE WHEN j.state = 'active' THEN j.singleton_key ELSE ${DUE_KEY} END,
        trace_context = jsonb_set(coalesce(j.trace_context, '{}'), '{nq}', coalesce(j.trace_context -> 'nq', '{}')
          || CASE WHEN j.state = 'active' THEN '{"u": true}' ELSE jsonb_build_object('x', ${NOW_MS}) END)`
      const delayed = `(j.state = 'active' OR (j.state < 'active' AND j.start_after > clock_timestamp()))`
      const job = await change(queue, id, set, delayed)
      if (!job) return false
      if (job.state === 'active') return true
      listeners.emit('waiting', queue, () => job)
      await wakeUp(queue)
      return true
    },
    async cancel(queue, id) {
      const set = `state = 'cancelled', completed_on = clock_timestamp()`
      const job = await change(queue, id, set, `j.state < 'active'`)
      if (job) listeners.emit('cancelled', queue, () => job)
      return job !== undefined
    },
    async remove(queue, id, expected) {
      const values: unknown[] = [encodeQueue(queue), jobUuid(queue, id)]
      const marks = expected ? ` AND ${hasMarks(expected, (value) => `$${values.push(value)}`)}` : ''
      const text = `DELETE FROM ${s}.job j WHERE j.name = $1 AND j.id = $2 AND j.state <> 'active'${marks}
        RETURNING ${STORED_COLUMNS}, ${s}.nq_untag(j) AS untagged`
      const [row] = await db.query<StoredJobRow>(text, values)
      if (row) {
        listeners.emit('removed', queue, () => storedRecord(queue, row))
        return true
      }
      const free = `DELETE FROM ${s}.nq_forgotten WHERE name = $1 AND id = $2 RETURNING run`
      const left = await find(queue, id)
      if (!left) return !expected && (await db.query(free, [encodeQueue(queue), jobUuid(queue, id)])).length > 0
      if (expected && left.state !== 'active') throw changedJob(id)
      throw new QueueError('JOB_STATE', `Job "${id}" is active. Cancel it first.`)
    },
    clean,
    diagnose: async () => [...((await db.diagnose?.()) ?? []), ...boss.diagnose()],
    async forgotten(queue, id) {
      const text = `SELECT run FROM ${s}.nq_forgotten WHERE name = $1 AND id = $2 AND until > clock_timestamp()`
      return (await db.query<{ run: string }>(text, [encodeQueue(queue), jobUuid(queue, id)], REPEATABLE))[0]?.run
    },
    on: (queue, event, listener) => listeners.on(queue, event, listener),
    async close() {
      await within(CLOSE_TIMEOUT, store.idle())
      listeners.clear()
    },
  }
}
