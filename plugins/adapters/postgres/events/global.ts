import { QueueError, shown, type StoredEvent } from '../../../../kernel/index.ts'
import { quoteName, type PostgresPort } from '../lib/postgres.ts'
import { EVENT_COLUMNS, eventOf, type EventRow } from './rows.ts'
import { ownEvents } from './sql-whole.ts'

const PAGE = 1000

interface GlobalRow extends EventRow {
  /** Absent for an event that has been trimmed, or has just expired. */
  name: string | null
  xid: string
  stream: string
}

/**
 * Reads all streams in the order of their transactions. It stays below the oldest transaction that
 * still runs, since that one may yet add events in front of those of younger ones. An append to a stream
 * that a younger transaction has written takes that one's number, so the order within a stream holds.
 * The cursor is `<transaction>.<stream>.<seq>`.
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
          ORDER BY t.xid, t.id LIMIT ${PAGE}) t, ${ownEvents('t')}
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
      // Positions are numbers of transactions, which begin anew in a database that was restored elsewhere.
      const message = `Cursor "${text}" of "*" is of another database, or of this one before it was restored.`
      throw new QueueError('EVENTS_TRIMMED', `${message} Start from 0.0.0, or without "after".`)
    },
    /** Behind every transaction that has ended, and in front of those that run. */
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
  // What the types of the columns do not hold would break the statement.
  const fits = found && BigInt(xid) < 2n ** 64n && BigInt(stream) < 2n ** 63n && BigInt(seq) < 2n ** 31n
  if (fits) return [xid, stream, seq]
  const hint = 'Pass what a listener of "*" was given, or 0.0.0 for everything.'
  throw new QueueError('OPTION_INVALID', `"after" of "*" is a cursor; got ${shown(cursor)}. ${hint}`)
}
