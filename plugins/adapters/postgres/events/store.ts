import {
  QueueError,
  type EventStore,
  type Kernel,
  type ReadOptions,
  type RunFilter,
  type RunInfo,
  type StoredEvent,
} from '../../../../kernel/index.ts'
import { decodeJson, encodeJson } from '../../../lib/json.ts'
import { quoteName, type PostgresPort } from '../lib/postgres.ts'
import { within } from '../lib/within.ts'
import { createAppender } from './append.ts'
import { createExpirer, createForgetter } from './expire.ts'
import { diagnoseStreams } from './diagnose.ts'
import { createFeeds } from './feeds.ts'
import { createGlobalReader } from './global.ts'
import { createMessenger } from './messages.ts'
import { EVENT_COLUMNS, eventOf, eventsOf, RUN_COLUMNS, runInfoOf, type EventRow, type RunRow } from './rows.ts'

const REPEATABLE = { repeatable: true }
/** The largest possible id of a row. */
const LAST_ID = '9223372036854775807'
const LAST_SEQ = 2_147_483_647
/** How long to wait for appends in flight when the store is closed, in milliseconds. */
const CLOSE_TIMEOUT = 2000
/** How many events one statement drops, so that it holds its locks only for a short time. */
const TRIM_STEP = 5000

/** Creates the event store: events, snapshots and the run index are kept in tables. */
export async function createPostgresEventStore(
  kernel: Pick<Kernel, 'config'>,
  db: PostgresPort,
  channel: string,
): Promise<EventStore> {
  const s = quoteName(db.schema)
  const appender = createAppender(db, kernel.config.payloadLimit)
  const messenger = createMessenger(db, channel)
  const expire = createExpirer(db)

  async function read(stream: string, options: ReadOptions = {}): Promise<StoredEvent[]> {
    const { after = 0, until, types, limit, reverse = false } = options
    const values: unknown[] = [stream, seqOf(after)]
    const parameter = (value: unknown): string => `$${values.push(value)}`
    const where = ['e.seq > greatest($2::int, t.trimmed)']
    if (typeof until === 'number') where.push(`e.seq <= ${parameter(seqOf(until))}::int`)
    if (until instanceof Date) where.push(`e.ts <= ${parameter(until.getTime())}`)
    if (types) where.push(`e.type = ANY (${parameter(types)}::text[])`)
    const direction = `ORDER BY e.seq ${reverse ? 'DESC' : ''}`
    const order = `${direction} ${limit === undefined || limit === Infinity ? '' : `LIMIT ${parameter(limit)}`}`
    // The LEFT JOIN returns one row without an event if no event matches, so that `trimmed` is always known.
    const text = `SELECT t.trimmed, ${EVENT_COLUMNS} FROM ${s}.nq_stream t
      LEFT JOIN LATERAL ${eventsOf(s, where.join(' AND '), order)} ON true WHERE t.name = $1 ${direction}`
    const rows = await db.query<EventRow & { trimmed: number }>(text, values, REPEATABLE)
    const trimmed = rows[0]?.trimmed ?? 0
    if (after < trimmed) {
      const hint = `Its events start at seq ${trimmed + 1}. Start from a snapshot.`
      throw new QueueError('EVENTS_TRIMMED', `The events of run ${stream} after seq ${after} were trimmed. ${hint}`, {
        details: { trimmed },
      })
    }
    return rows.flatMap((row) => (row.seq === null ? [] : [eventOf(stream, row)]))
  }

  async function heads(streams: readonly string[]): Promise<Map<string, number>> {
    if (streams.length === 0) return new Map()
    const text = `SELECT name, head FROM ${s}.nq_stream WHERE name = ANY ($1::text[])`
    const rows = await db.query<{ name: string; head: number }>(text, [streams], REPEATABLE)
    return new Map(rows.map(({ name, head }) => [name, head]))
  }

  const feeds = createFeeds(db, {
    read: (stream, after) => read(stream, { after }),
    heads,
    ...createGlobalReader(db),
  })
  const unlisten = await db.listen(
    channel,
    (payload) => void messenger.receive(payload, feeds.messages).then((message) => message || feeds.wake(payload)),
    feeds.wakeAll,
  )
  feeds.start()

  return {
    capabilities: { durable: true, shared: db.backend === 'postgres', globalCursor: true },
    append: appender.append,
    read,
    async byKey(stream, key) {
      const text = `SELECT ${EVENT_COLUMNS} FROM ${s}.nq_stream t, LATERAL ${eventsOf(s, 'e.key = $2 AND e.seq > t.trimmed')}
        WHERE t.name = $1`
      const [row] = await db.query<EventRow>(text, [stream, key], REPEATABLE)
      return row && eventOf(stream, row)
    },
    head: async (stream) => (await heads([stream])).get(stream) ?? 0,
    snapshots: {
      async get(stream, reducer, until = LAST_SEQ) {
        const text = `SELECT p.seq, p.state FROM ${s}.nq_stream t JOIN ${s}.nq_snapshot p ON p.stream = t.id
          WHERE t.name = $1 AND p.reducer = $2 AND p.seq <= $3::float8 ORDER BY p.seq DESC LIMIT 1`
        const [row] = await db.query<{ seq: number; state: string }>(text, [stream, reducer, until], REPEATABLE)
        return row && { reducer, seq: row.seq, state: decodeJson(row.state) }
      },
      async put(stream, { reducer, seq, state }) {
        const text = `INSERT INTO ${s}.nq_snapshot (stream, reducer, seq, state)
          SELECT t.id, $2, $3, $4 FROM ${s}.nq_stream t WHERE t.name = $1
          ON CONFLICT (stream, reducer, seq) DO UPDATE SET state = excluded.state`
        await db.query(text, [stream, reducer, seq, encodeJson(state)], REPEATABLE)
      },
    },
    subscribe: (stream, options, listener) =>
      stream === '*' ? feeds.followAll(options, listener) : feeds.follow(stream, options, listener),
    publish: (stream, messages) => messenger.send(stream, messages),
    runs: {
      async get(runId) {
        const text = `SELECT ${RUN_COLUMNS} FROM ${s}.nq_stream WHERE name = $1 AND status IS NOT NULL`
        const [row] = await db.query<RunRow>(text, [runId], REPEATABLE)
        return row && runInfoOf(row)
      },
      async list({ limit = 100, ...filter } = {}) {
        const values: unknown[] = [limit]
        const text = `SELECT ${RUN_COLUMNS} FROM ${s}.nq_stream WHERE ${conditions(s, filter, values)}
          ORDER BY started DESC, id DESC LIMIT $1`
        return (await db.query<RunRow>(text, values, REPEATABLE)).map(runInfoOf)
      },
    },
    expire,
    forget: createForgetter(db),
    diagnose: () => diagnoseStreams(db),
    async trim(stream, seq) {
      const text = `SELECT t.id IS NOT NULL AS known, EXISTS (
          SELECT FROM ${s}.nq_snapshot p WHERE p.stream = t.id AND p.seq >= $2) AS covered
        FROM ${s}.nq_stream t WHERE t.name = $1`
      const [row] = await db.query<{ covered: boolean }>(text, [stream, seq], REPEATABLE)
      if (!row) return
      if (!row.covered) {
        const message = `Run ${stream} was not trimmed: no snapshot covers seq ${seq}. Store a snapshot first.`
        throw new QueueError('EVENTS_CONFLICT', message)
      }
      await db.query(`SELECT ${s}.nq_unfold(ARRAY[$1::text])`, [stream], REPEATABLE)
      // Events with a key lose only their data. Their keys must stay known, so that they are not appended again.
      const trim = `WITH t AS (
          UPDATE ${s}.nq_stream SET trimmed = least(head, $2, trimmed + ${TRIM_STEP})
          WHERE name = $1 AND trimmed < least(head, $2) RETURNING id, trimmed, least(head, $2) AS goal
        ), gone AS (DELETE FROM ${s}.nq_event_row e USING t WHERE e.stream = t.id AND e.seq <= t.trimmed AND e.key IS NULL),
        kept AS (UPDATE ${s}.nq_event_row e SET data = NULL FROM t
          WHERE e.stream = t.id AND e.seq <= t.trimmed AND e.key IS NOT NULL AND e.data IS NOT NULL)
        SELECT trimmed < goal AS more FROM t`
      for (;;) {
        const [step] = await db.query<{ more: boolean }>(trim, [stream, seqOf(seq)], REPEATABLE)
        if (!step?.more) return
      }
    },
    async close() {
      // Appends that still wait for an unavailable server are rejected when the pool is closed.
      await within(CLOSE_TIMEOUT, appender.idle())
      feeds.close()
      await unlisten()
    },
  }
}

/** Returns a number as a valid `seq` for a comparison: an integer in the range of the column. */
function seqOf(value: number): number {
  return Math.max(0, Math.min(LAST_SEQ, Math.floor(value)))
}

/** The conditions contain constants, so that the planner can use the partial index of runs that have not completed. */
const STATUS: Readonly<Record<RunInfo['status'], string>> = {
  running: `status = 'running'`,
  completed: `status = 'completed'`,
  failed: `status = 'failed'`,
  cancelled: `status = 'cancelled'`,
}

/** Returns the SQL conditions of a filter, and adds their parameters to `values`. */
function conditions(s: string, filter: RunFilter, values: unknown[]): string {
  const { hideInternal, status, name, queue, flow, tag, startedBefore, after } = filter
  const where = ['status IS NOT NULL']
  if (status !== undefined) where.push(Object.hasOwn(STATUS, status) ? STATUS[status] : 'false')
  const wanted = { run_name: name, queue, flow }
  for (const [column, value] of Object.entries(wanted)) {
    if (value !== undefined) where.push(`${column} = $${values.push(value)}`)
  }
  if (tag !== undefined) where.push(`tags @> ARRAY[$${values.push(tag)}::text]`)
  if (startedBefore !== undefined) where.push(`started < $${values.push(startedBefore)}::float8`)
  if (after) {
    const [runId, startedAt] = [values.push(after.runId), values.push(after.startedAt)]
    const id = `SELECT l.id FROM ${s}.nq_stream l WHERE l.name = $${runId} AND l.started = $${startedAt}::bigint`
    // If the run was deleted, only its millisecond is known.
    where.push(`(started, id) < ($${startedAt}::bigint, coalesce((${id}), ${LAST_ID}))`)
  }
  if (hideInternal) where.push(`(queue IS NULL OR left(queue, 1) <> '_')`)
  return where.join(' AND ')
}
