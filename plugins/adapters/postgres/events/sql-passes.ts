import { USE_CTIDS, USE_INDEXES } from './sql-plans.ts'
import { EVENT_FIELDS } from './sql-inline-runs.ts'

/**
 * The members of an append, in the JSON argument `p_appends`. Instances of the release before send the same letters, so they
 * must not change.
 *
 * | member | meaning |
 * |---|---|
 * | `i` | the index of the append in the pass, starting at 0 |
 * | `s` | the name of the stream |
 * | `u` | `unless`: the append is rejected if the stream has this key |
 * | `j`, `t` | job and token of the fence |
 * | `x` | the expected `seq` of the last event |
 * | `r` | true to reopen an ended run |
 * | `p` | true if the append changes the run (a patch); the members that start with `r` are the patch |
 * | `rs`, `rn`, `rq` | status, name and queue of the run |
 * | `rj`, `rf`, `rg` | job, flow and tags of the run |
 * | `n` | the number of events |
 */
const APPENDS = `i int, s text, u text, j text, t bigint, x int, r boolean, p boolean,
      rs text, rn text, rq text, rj text, rf text, n int, rg text[]`
/** The members of an event in `p_events`: `i` is the index of its append, `o` its index in the append, starting at 0. */
const EVENTS = `i int, o int, ${EVENT_FIELDS}`

/**
 * `nq_append_round(p_appends, p_events)` runs one pass: it appends to many streams, and accepts or rejects each append on its
 * own. The arguments are JSON texts with the members of `APPENDS` and `EVENTS`. A pass contains each stream at most once, and an
 * append contains each key at most once.
 *
 * 1. New streams: a stream that does not exist cannot reject an append, so its final row and its events are inserted at once.
 *    This covers most appends of jobs that run for the first time.
 * 2. Existing streams: the rows of the streams are locked in the order of their names (`nq_unfold`). Then the rows, fences and
 *    keys are read with a newer snapshot, the new events are inserted, and `nq_touch` updates the rows of the streams.
 *
 * Tables are only accessed by LATERAL look-ups, scalar subqueries and `ctid`, so that no plan ever scans a table.
 *
 * Returns the JSON text of a `PassResult` (see `append.ts`): the time, and the results of the appends to existing streams.
 */
export function passFunctions(s: string): string {
  return `${passFunction(s)}${touchFunctions(s)}`
}

/** The variables from `v_is` on are parallel arrays with one element per append to an existing stream. */
function passFunction(s: string): string {
  return `
CREATE OR REPLACE FUNCTION ${s}.nq_append_round(p_appends text, p_events text)
RETURNS text LANGUAGE plpgsql ${USE_INDEXES} AS $fn$
#variable_conflict use_column
DECLARE
  v_now bigint := floor(extract(epoch FROM clock_timestamp()) * 1000);
  v_xid xid8 := pg_current_xact_id();
  v_began bigint := v_now;
  v_old int[];
  v_names text[];
  v_appends text;
  v_indexes int[];
  v_reasons text[];
  v_ctids tid[];
  v_added int[];
  v_nows bigint[];
  v_commits xid8[];
  v_fresh text[];
  v_heads int[];
  v_crowded boolean;
BEGIN
  WITH a AS MATERIALIZED (
    SELECT x.* FROM json_to_recordset(p_appends::json) AS x (${APPENDS})
  ), ins AS (
    INSERT INTO ${s}.nq_stream (
      name, head, ts, xid, fence_job, fence_token, status, run_name, queue, job_id, flow, started, updated, ended, tags
    )
    SELECT a.s, a.n, v_now, v_xid, a.j, a.t,
      CASE WHEN a.p THEN coalesce(a.rs, 'running') WHEN a.r THEN 'running' END,
      CASE WHEN a.p OR a.r THEN coalesce(a.rn, '') END, a.rq, a.rj, a.rf,
      CASE WHEN a.p OR a.r THEN v_now END, v_now,
      CASE WHEN a.p AND a.rs <> 'running' THEN v_now END, nullif(a.rg, '{}')
    FROM a WHERE coalesce(a.x, 0) = 0 ORDER BY a.s COLLATE "C"
    ON CONFLICT (name) DO NOTHING
    RETURNING name, id
  ), new AS MATERIALIZED (
    SELECT a.i, a.s, ins.id FROM a LEFT JOIN ins ON ins.name = a.s
  ), stored AS (
    INSERT INTO ${s}.nq_event_row (stream, seq, ts, xid, type, key, flow, step, step_id, attempt, data)
    SELECT new.id, e.o + 1, v_now, v_xid, e.y, e.k, e.f, e.s, e.d, e.a, e.v
    FROM json_to_recordset(p_events::json) AS e (${EVENTS}) JOIN new ON new.i = e.i WHERE new.id IS NOT NULL
    ORDER BY e.i, e.o
  )
  SELECT array_agg(new.i), array_agg(new.s) INTO v_old, v_names FROM new WHERE new.id IS NULL;
  IF v_old IS NULL THEN RETURN '{"ts":' || v_now || '}'; END IF;

  PERFORM ${s}.nq_unfold(v_names);
  v_now := floor(extract(epoch FROM clock_timestamp()) * 1000);
  SELECT '[' || string_agg(x.append::text, ',' ORDER BY x.place) || ']' INTO v_appends
  FROM json_array_elements(p_appends::json) WITH ORDINALITY AS x (append, place)
  JOIN unnest(v_old) AS old (i) ON old.i = x.place - 1;
  WITH a AS MATERIALIZED (
    SELECT x.*, t.*, greatest(v_now, t.last) AS now, greatest(v_xid, t.xid) AS commit,
      CASE
        WHEN x.u IS NOT NULL AND EXISTS (SELECT FROM ${s}.nq_event_row k WHERE k.stream = t.id AND k.key = x.u) THEN 'unless'
        WHEN t.status <> 'running' AND NOT coalesce(x.r, false) THEN 'ended'
        WHEN x.t < CASE WHEN t.fence_job = x.j THEN t.fence_token
          ELSE (SELECT f.token FROM ${s}.nq_fence f WHERE f.stream = t.id AND f.job = x.j) END THEN 'fence'
        WHEN x.x <> coalesce(t.head, 0) THEN 'expectedSeq'
      END AS reason
    FROM json_to_recordset(v_appends::json) AS x (${APPENDS})
    LEFT JOIN LATERAL (
      SELECT t.ctid AS row, t.id, t.head, t.ts AS last, t.xid, t.status, t.fence_job, t.fence_token
      FROM ${s}.nq_stream t WHERE t.name = x.s LIMIT 1
    ) t ON true
  ), e AS MATERIALIZED (
    SELECT a.id, a.head, a.now, a.commit, e.*, row_number() OVER (PARTITION BY e.i ORDER BY e.o)::int AS n
    FROM json_to_recordset(p_events::json) AS e (${EVENTS}) JOIN a ON a.i = e.i
    WHERE a.reason IS NULL
      AND (e.k IS NULL OR NOT EXISTS (SELECT FROM ${s}.nq_event_row k WHERE k.stream = a.id AND k.key = e.k))
  ), stored AS (
    INSERT INTO ${s}.nq_event_row (stream, seq, ts, xid, type, key, flow, step, step_id, attempt, data)
    SELECT e.id, e.head + e.n, e.now, e.commit, e.y, e.k, e.f, e.s, e.d, e.a, e.v FROM e
  ), c AS MATERIALIZED (
    SELECT a.i, count(e.i)::int AS n, string_agg(e.o::text, ',' ORDER BY e.o) AS fresh
    FROM a LEFT JOIN e ON e.i = a.i GROUP BY a.i
  )
  SELECT array_agg(a.i ORDER BY a.i), array_agg(a.reason ORDER BY a.i),
    array_agg(CASE WHEN a.reason IS NULL THEN a.row END ORDER BY a.i), array_agg(c.n ORDER BY a.i),
    array_agg(a.now ORDER BY a.i), array_agg(a.commit ORDER BY a.i), array_agg(coalesce(a.head, 0) + c.n ORDER BY a.i),
    array_agg(CASE WHEN c.n <> a.n THEN coalesce(c.fresh, '') END ORDER BY a.i),
    bool_or(a.reason IS NULL AND a.fence_job <> a.j)
  INTO v_indexes, v_reasons, v_ctids, v_added, v_nows, v_commits, v_heads, v_fresh, v_crowded
  FROM a JOIN c ON c.i = a.i;
  IF v_crowded THEN PERFORM ${s}.nq_fence_others(v_appends, v_ctids); END IF;
  PERFORM ${s}.nq_touch(v_appends, v_ctids, v_added, v_nows, v_commits);
  RETURN '{"ts":' || v_began || ',"old":[' || (
    SELECT string_agg('{"i":' || x.i || ',"head":' || x.head || ',"ts":' || x.now
      || coalesce(',"reason":"' || x.reason || '"', '') || coalesce(',"fresh":[' || x.fresh || ']', '') || '}', ',')
    FROM unnest(v_indexes, v_reasons, v_heads, v_nows, v_fresh) AS x (i, reason, head, now, fresh)) || ']}';
END $fn$;
`
}

/**
 * The functions that update the row of an existing stream. Their arguments are parallel arrays, one element per append:
 * `p_rows` the `ctid` of the row of the stream, null if the append was rejected, `p_added` the number of stored events, `p_nows`
 * the timestamp, `p_commits` the transaction.
 *
 * - `nq_touch` updates the row of the stream. The row contains the fence of the first job only.
 * - `nq_fence_others` stores the fences of all other jobs in `nq_fence`.
 */
function touchFunctions(s: string): string {
  return `
CREATE OR REPLACE FUNCTION ${s}.nq_touch(
  p_appends text, p_rows tid[], p_added int[], p_nows bigint[], p_commits xid8[])
RETURNS void LANGUAGE plpgsql ${USE_CTIDS} AS $fn$
#variable_conflict use_column
BEGIN
  UPDATE ${s}.nq_stream t SET
    head = t.head + d.added, ts = d.now, xid = d.commit, updated = d.now,
    fence_job = coalesce(t.fence_job, d.j),
    fence_token = CASE WHEN coalesce(t.fence_job, d.j) = d.j THEN greatest(t.fence_token, d.t) ELSE t.fence_token END,
    status = CASE WHEN d.p THEN coalesce(d.rs, t.status, 'running') WHEN d.r THEN 'running' ELSE t.status END,
    run_name = CASE WHEN d.p OR d.r THEN coalesce(d.rn, t.run_name, '') ELSE t.run_name END,
    queue = coalesce(d.rq, t.queue), job_id = coalesce(d.rj, t.job_id), flow = coalesce(d.rf, t.flow),
    started = CASE WHEN d.p OR d.r THEN coalesce(t.started, d.now) ELSE t.started END,
    ended = CASE WHEN d.p THEN CASE WHEN coalesce(d.rs, t.status, 'running') <> 'running' THEN d.now END
      WHEN d.r THEN NULL ELSE t.ended END, tags = nullif(coalesce(d.rg, t.tags), '{}')
  FROM ROWS FROM (
    json_to_recordset(p_appends::json) AS (${APPENDS}), unnest(p_rows), unnest(p_added), unnest(p_nows), unnest(p_commits)
  ) AS d (i, s, u, j, t, x, r, p, rs, rn, rq, rj, rf, n, rg, row, added, now, commit)
  WHERE t.ctid = d.row;
END $fn$;

CREATE OR REPLACE FUNCTION ${s}.nq_fence_others(p_appends text, p_rows tid[])
RETURNS void LANGUAGE plpgsql ${USE_CTIDS} AS $fn$
#variable_conflict use_column
BEGIN
  INSERT INTO ${s}.nq_fence AS f (stream, job, token)
  SELECT t.id, d.j, d.t FROM ROWS FROM (json_to_recordset(p_appends::json) AS (${APPENDS}), unnest(p_rows))
    AS d (i, s, u, j, t, x, r, p, rs, rn, rq, rj, rf, n, rg, row)
  JOIN ${s}.nq_stream t ON t.ctid = d.row
  WHERE t.fence_job <> d.j
  ON CONFLICT (stream, job) DO UPDATE SET token = excluded.token WHERE f.token < excluded.token;
END $fn$;
`
}
