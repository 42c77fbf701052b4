/** The members of a part of a stream, in the first argument. */
const PARTS = `i int, s text, x int, f int, n int, ts bigint, e boolean, fj text, ft bigint,
  rs text, rn text, rq text, rj text, rf text, rg text[], b bigint, u bigint, z bigint`

/**
 * Returns the statement that stores parts of streams that were copied from another store. Its arguments are JSON arrays:
 *
 * 1. the parts: `i` index, `s` name of the stream, `x` the trimmed part of a new stream, `f` the `seq` of the first event, `n` the number of
 *    events, `ts` the time of the last one. In the last part of a stream, `e` is true, `fj` and `ft` are the fence of its first job, and the
 *    members that begin with `r` and `b` (started), `u` (updated), `z` (ended) are its run.
 * 2. the events: `i` index of the part, `q` seq, `t` time, and the members of `EVENT_FIELDS`
 * 3. the fences of further jobs: `i`, `j` job, `t` token
 * 4. the snapshots: `i`, `r` reducer, `q` seq, `v` state
 *
 * A part is stored only if its events follow those of the stream. Returns the indexes of the stored parts (`written`). No stream may have
 * inline events.
 */
export function copyStatement(s: string): string {
  const values = `xid = pg_current_xact_id(), head = t.head + x.n, ts = greatest(t.ts, x.ts),
      fence_job = CASE WHEN x.e THEN x.fj ELSE t.fence_job END, fence_token = CASE WHEN x.e THEN x.ft ELSE t.fence_token END,
      status = coalesce(x.rs, t.status), run_name = coalesce(x.rn, t.run_name), queue = coalesce(x.rq, t.queue),
      job_id = coalesce(x.rj, t.job_id), flow = coalesce(x.rf, t.flow), tags = coalesce(x.rg, t.tags),
      started = coalesce(x.b, t.started), updated = coalesce(x.u, t.updated),
      ended = CASE WHEN x.rs IS NULL THEN t.ended ELSE x.z END`
  return `WITH x AS MATERIALIZED (
    SELECT * FROM json_to_recordset($1::text::json) AS x (${PARTS})
  ), old AS MATERIALIZED (
    SELECT x.i, t.id, t.row, t.head FROM x CROSS JOIN LATERAL (
      SELECT t.ctid AS row, t.id, t.head FROM ${s}.nq_stream t WHERE t.name = x.s LIMIT 1 FOR UPDATE) t
  ), updated AS (
    UPDATE ${s}.nq_stream t SET ${values}
    FROM x JOIN old ON old.i = x.i WHERE t.ctid = old.row AND (x.n = 0 OR old.head = x.f - 1)
    RETURNING t.id, x.i
  ), created AS (
    INSERT INTO ${s}.nq_stream (
      name, head, trimmed, ts, xid, fence_job, fence_token, status, run_name, queue, job_id, flow, tags, started, updated, ended)
    SELECT x.s, x.x + x.n, x.x, coalesce(x.ts, 0), pg_current_xact_id(), x.fj, x.ft, x.rs, x.rn, x.rq, x.rj, x.rf, x.rg, x.b,
      coalesce(x.u, x.ts), x.z
    FROM x WHERE NOT EXISTS (SELECT FROM old WHERE old.i = x.i) AND (x.n = 0 OR x.x = x.f - 1) ORDER BY x.s COLLATE "C"
    ON CONFLICT (name) DO NOTHING RETURNING id, name
  ), target AS MATERIALIZED (
    SELECT id, i FROM updated UNION ALL SELECT created.id, x.i FROM created JOIN x ON x.s = created.name
  ), events AS (
    INSERT INTO ${s}.nq_event_row (stream, seq, ts, xid, type, key, flow, step, step_id, attempt, data)
    SELECT target.id, e.q, e.t, pg_current_xact_id(), e.y, e.k, e.f, e.s, e.d, e.a, e.v
    FROM json_to_recordset($2::text::json) AS e (
      i int, q int, t bigint, y text, k text, f text, s text, d text, a int, v text) JOIN target ON target.i = e.i
    ORDER BY e.i, e.q ON CONFLICT DO NOTHING
  ), fences AS (
    INSERT INTO ${s}.nq_fence AS f (stream, job, token)
    SELECT target.id, x.j, x.t FROM json_to_recordset($3::text::json) AS x (i int, j text, t bigint) JOIN target ON target.i = x.i
    ON CONFLICT (stream, job) DO UPDATE SET token = greatest(f.token, excluded.token)
  ), snapshots AS (
    INSERT INTO ${s}.nq_snapshot (stream, reducer, seq, state)
    SELECT target.id, x.r, x.q, x.v FROM json_to_recordset($4::text::json) AS x (i int, r text, q int, v text)
    JOIN target ON target.i = x.i
    ON CONFLICT (stream, reducer, seq) DO UPDATE SET state = excluded.state
  )
  SELECT coalesce(array_agg(target.i), '{}') AS written FROM target`
}
