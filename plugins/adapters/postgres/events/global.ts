import { QueueError, shown, type StoredEvent } from '../../../../kernel/index.ts'
import { quoteName, type PostgresPort } from '../lib/postgres.ts'
import { EVENT_COLUMNS, eventOf, type EventRow } from './rows.ts'
import { inlineEvents } from './sql-inline-runs.ts'

const PAGE = 1000

interface GlobalRow extends EventRow {
  /** Null if the event was trimmed, or if its run has just expired. */
  name: string | null
  xid: string
  stream: string
}

/**
 * Creates the reader of all streams. It returns events in the order of their transactions. It reads only up to the oldest
 * running transaction, because that transaction may still add events before those of younger ones. If a younger
 * transaction has already written to a stream, an append to it takes the younger transaction's number, which preserves
 * the order within the stream. A cursor has the form `<transaction>.<stream>.<seq>`.
 */
export function createGlobalReader(db: PostgresPort) {
  const s = quoteName(db.schema)

  return {
    async readAll(cursor: string): Promise<{ events: StoredEvent[]; cursor: string }> {
      const [xid, stream, seq] = parts(cursor)
      const rows = `SELECT e.xid, e.stream, ${EVENT_COLUMNS} FROM ${s}.nq_event_row e
        WHERE e.xid >= $1::xid8 AND e.xid < pg_snapshot_xmin(pg_current_snapshot())
          AND (e.xid > $1::xid8 OR (e.stream, e.seq) > ($2::bigint, $3::int))
        ORDER BY e.xid, e.stream, e.seq LIMIT ${PAGE}`
      const whole = `SELECT t.xid, t.id AS stream, e.seq::int, t.ts, e.y, e.k, e.f, e.s, e.d, e.a, e.v
        FROM (SELECT * FROM ${s}.nq_stream t
          WHERE t.events IS NOT NULL AND t.xid >= $1::xid8 AND t.xid < pg_snapshot_xmin(pg_current_snapshot())
            AND (t.xid > $1::xid8 OR t.id >= $2::bigint)
          ORDER BY t.xid, t.id LIMIT ${PAGE}) t, ${inlineEvents('t')}
        WHERE t.xid > $1::xid8 OR (t.id, e.seq) > ($2::bigint, $3::int)`
      const text = `SELECT t.name, e.*
        FROM (SELECT * FROM ((${rows}) UNION ALL (${whole})) e ORDER BY e.xid, e.stream, e.seq LIMIT ${PAGE}) e
        LEFT JOIN ${s}.nq_stream t ON t.id = e.stream AND e.seq > t.trimmed
        ORDER BY e.xid, e.stream, e.seq`
      const found = await db.query<GlobalRow>(text, [xid, stream, seq], { repeatable: true })
      const last = found.at(-1)
      return {
        events: found.flatMap((row) => (row.name === null ? [] : [eventOf(row.name, row)])),
        cursor: last ? `${last.xid}.${last.stream}.${last.seq}` : cursor,
      }
    },
    async start(cursor: number | string): Promise<string> {
      const text = String(cursor)
      const [xid] = parts(text)
      const now = 'SELECT pg_snapshot_xmax(pg_current_snapshot()) < $1::xid8 AS ahead'
      const [row] = await db.query<{ ahead: boolean }>(now, [xid], { repeatable: true })
      if (!row!.ahead) return text
      // Cursors contain transaction numbers, which start again in a database that was restored elsewhere.
      const message = `Cursor "${text}" of "*" is from another database, or from this one before it was restored.`
      throw new QueueError('EVENTS_TRIMMED', `${message} Start from 0.0.0, or without "after".`)
    },
    /** Returns the cursor after all finished transactions and before all running ones. */
    async end(): Promise<string> {
      const text = 'SELECT pg_snapshot_xmin(pg_current_snapshot()) AS xid'
      const [row] = await db.query<{ xid: string }>(text, [], { repeatable: true })
      return `${row!.xid}.0.0`
    },
  }
}

function parts(cursor: string): [xid: string, stream: string, seq: string] {
  const found = /^(\d{1,20})\.(\d{1,20})\.(\d{1,20})$/.exec(cursor)
  const [, xid, stream, seq] = (found ?? []) as unknown as [string, string, string, string]
  // Numbers that exceed the column types would make the statement fail.
  const fits = found && BigInt(xid) < 2n ** 64n && BigInt(stream) < 2n ** 63n && BigInt(seq) < 2n ** 31n
  if (fits) return [xid, stream, seq]
  const hint = 'Pass a cursor that a listener of "*" received, or 0.0.0 for all events.'
  throw new QueueError('OPTION_INVALID', `"after" of "*" must be a cursor; got ${shown(cursor)}. ${hint}`)
}
