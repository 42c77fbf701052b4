import { QueueError, type StoredEvent } from '../../kernel/index.ts'
import { quoteName, type PostgresPort } from '../_shared/postgres.ts'
import { EVENT_COLUMNS, eventOf, type EventRow } from './rows.ts'

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
      const text = `SELECT t.name, e.xid, e.stream, ${EVENT_COLUMNS}
        FROM (SELECT * FROM ${s}.nq_event e
          WHERE e.xid >= $1::xid8 AND e.xid < pg_snapshot_xmin(pg_current_snapshot())
            AND (e.xid > $1::xid8 OR (e.stream, e.seq) > ($2::bigint, $3::int))
          ORDER BY e.xid, e.stream, e.seq LIMIT ${PAGE}) e
        LEFT JOIN ${s}.nq_stream t ON t.id = e.stream AND e.seq > t.trimmed
        ORDER BY e.xid, e.stream, e.seq`
      const rows = await db.query<GlobalRow>(text, [xid, stream, seq], { repeatable: true })
      const last = rows.at(-1)
      return {
        events: rows.flatMap((row) => (row.name === null ? [] : [eventOf(row.name, row)])),
        cursor: last ? `${last.xid}.${last.stream}.${last.seq}` : cursor,
      }
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
  const found = /^(\d+)\.(\d+)\.(\d+)$/.exec(cursor)
  if (found) return [found[1]!, found[2]!, found[3]!]
  const hint = 'Pass what a listener of "*" was given, or 0.0.0 for everything.'
  throw new QueueError('OPTION_INVALID', `"after" of "*" is a cursor; got "${cursor}". ${hint}`)
}
