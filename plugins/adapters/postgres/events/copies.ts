import type { EventStore, QueueError, Snapshot } from '../../../../kernel/index.ts'
import { decodeJson, encodeJson } from '../../../lib/json.ts'
import { outOfPlace } from '../../lib/local-events/copies.ts'
import type { EventCopies, StreamEnd, StreamPart } from '../../lib/store-copy.ts'
import { checkStorableText, quoteName, type PostgresPort } from '../lib/postgres.ts'
import { RUN_COLUMNS, runInfoOf, type RunRow } from './rows.ts'
import { copyStatement } from './sql-copies.ts'

const REPEATABLE = { repeatable: true }
/** How many names one page contains. */
const PAGE = 500

type EndRow = Omit<RunRow, 'status'> & {
  status: RunRow['status'] | null
  trimmed: number
  fences: [string, number][]
  keys: string[]
}

/** Creates the port `eventCopies`. */
export function createPostgresEventCopies(
  db: PostgresPort,
  { read, head }: Pick<EventStore, 'read' | 'head'>,
): EventCopies {
  const s = quoteName(db.schema)
  const copy = copyStatement(s)

  return {
    async *streams() {
      const text = `SELECT id, name FROM ${s}.nq_stream WHERE id > $1::bigint ORDER BY id LIMIT ${PAGE}`
      for (let after = '0'; ;) {
        const rows = await db.query<{ id: string; name: string }>(text, [after], REPEATABLE)
        if (rows.length > 0) yield rows.map(({ name }) => name)
        if (rows.length < PAGE) return
        after = rows.at(-1)!.id
      }
    },
    async end(stream) {
      const text = `SELECT ${RUN_COLUMNS}, trimmed,
          (SELECT coalesce(json_agg(json_build_array(f.job, f.token)), '[]') FROM (
            SELECT t.fence_job AS job, t.fence_token AS token WHERE t.fence_job IS NOT NULL
            UNION ALL SELECT f.job, f.token FROM ${s}.nq_fence f WHERE f.stream = t.id) f) AS fences,
          ARRAY(SELECT e.key FROM ${s}.nq_event_row e
            WHERE e.stream = t.id AND e.seq <= t.trimmed AND e.key IS NOT NULL ORDER BY e.seq) AS keys
        FROM ${s}.nq_stream t WHERE name = $1`
      const [row] = await db.query<EndRow>(text, [stream], REPEATABLE)
      if (!row) return undefined
      const { head: last, trimmed, fences, keys, status } = row
      const run = status === null ? undefined : runInfoOf({ ...row, status })
      return { stream, head: last, trimmed, fences, keys, ...(run && { run }) } satisfies StreamEnd
    },
    events: (stream, after, limit) => read(stream, { after, limit }),
    async snapshots(stream) {
      const text = `SELECT p.reducer, p.seq, p.state FROM ${s}.nq_stream t JOIN ${s}.nq_snapshot p ON p.stream = t.id
        WHERE t.name = $1 ORDER BY p.seq`
      const rows = await db.query<Snapshot & { state: string }>(text, [stream], REPEATABLE)
      return rows.map(({ reducer, seq, state }) => ({ reducer, seq, state: decodeJson(state) }))
    },
    async write(parts) {
      if (parts.length === 0) return
      for (const { stream } of parts) checkStorableText(stream, 'stream')
      const values = encodeParts(parts)
      await db.query(`SELECT ${s}.nq_unfold($1::text[])`, [parts.map(({ stream }) => stream)], REPEATABLE)
      const [row] = await db.query<{ written: number[] }>(copy, values)
      const written = new Set(row!.written)
      const missed = parts.find((_part, index) => !written.has(index))
      if (missed) throw await conflict(missed)
    },
  }

  async function conflict({ stream, events }: StreamPart): Promise<QueueError> {
    return outOfPlace(stream, events[0]?.seq ?? 0, await head(stream))
  }
}

/** Encodes parts for `copyStatement`, which documents the members. */
function encodeParts(parts: readonly StreamPart[]): string[] {
  const streams = parts.map(({ stream, trimmed, events, end }, i) => {
    const [fence] = end?.fences ?? []
    const run = end?.run
    const ts = events.at(-1)?.ts
    return {
      ...{ i, s: stream, x: trimmed, f: events[0]?.seq, n: events.length, ts },
      ...(end && { e: true, fj: fence?.[0], ft: fence?.[1] }),
      ...(run && {
        ...{
          rs: run.status,
          rn: run.name,
          rq: run.queue,
          rj: run.jobId,
          rf: run.flow,
          rg: run.tags?.length ? run.tags : undefined,
        },
        ...{ b: run.startedAt, u: run.updatedAt, z: run.endedAt },
      }),
    }
  })
  const events = parts.flatMap((part, i) => [
    ...part.events.map(({ seq, ts, type, key, flow, step, stepId, attempt, data }) => ({
      ...{ i, q: seq, t: ts, y: type, k: key, f: flow, s: step, d: stepId, a: attempt },
      v: data === undefined ? undefined : encodeJson(data),
    })),
    // Rows of trimmed events keep their keys. Their positions no longer matter.
    ...(part.end?.keys ?? []).map((k, index) => ({ i, q: index + 1, t: 0, y: 'trimmed', k })),
  ])
  const fences = parts.flatMap(({ end }, i) => (end?.fences ?? []).slice(1).map(([j, t]) => ({ i, j, t })))
  const snapshots = parts.flatMap((part, i) =>
    (part.snapshots ?? []).map(({ reducer, seq, state }) => ({ i, r: reducer, q: seq, v: encodeJson(state) })),
  )
  return [streams, events, fences, snapshots].map((list) => JSON.stringify(list))
}
