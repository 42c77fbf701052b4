import { BY_ADDRESS, BY_INDEX } from './sql-plans.ts'
import { EVENT_FIELDS } from './sql-whole.ts'

const APPENDS = `i int, s text, u text, j text, t bigint, x int, r boolean, p boolean,
      rs text, rn text, rq text, rj text, rf text, n int, rg text[]`
/** `i` tells whose it is, `o` its place among those. */
const EVENTS = `i int, o int, ${EVENT_FIELDS}`

/**
 * Appends to many streams, each accepted or refused on its own. A stream comes once in a round, and a key
 * once in an append.
 *
 * A stream that is not there cannot refuse, so its row is written as it will be; that is most appends of
 * jobs that run for the first time. The others lock the rows of their streams in one order, then look
 * at them and at their keys under a snapshot taken after that, then insert. Tables are only entered
 * through LATERAL look-ups, by scalar queries and by row address, so that no plan ever reads one whole.
 *
 * The answer is a JSON text: the time, and what is to be told of appends that were not simply the first
 * of their stream.
 */
export function roundFunctions(s: string): string {
  return `${roundFunction(s)}${touchFunctions(s)}`
}

function roundFunction(s: string): string {
  return `
CREATE OR REPLACE FUNCTION ${s}.nq_append_round(p_appends text, p_events text)
RETURNS text LANGUAGE plpgsql ${BY_INDEX} AS $fn$
#variable_conflict use_column
DECLARE
  v_now bigint := floor(extract(epoch FROM clock_timestamp()) * 1000);
  v_xid xid8 := pg_current_xact_id();
  v_began bigint := v_now;
  v_old int[];
  v_names text[];
  v_appends text;
  v_is int[];
  v_reasons text[];
  v_rows tid[];
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
  INTO v_is, v_reasons, v_rows, v_added, v_nows, v_commits, v_heads, v_fresh, v_crowded
  FROM a JOIN c ON c.i = a.i;
  IF v_crowded THEN PERFORM ${s}.nq_fence_others(v_appends, v_rows); END IF;
  PERFORM ${s}.nq_touch(v_appends, v_rows, v_added, v_nows, v_commits);
  RETURN '{"ts":' || v_began || ',"old":[' || (
    SELECT string_agg('{"i":' || x.i || ',"head":' || x.head || ',"ts":' || x.now
      || coalesce(',"reason":"' || x.reason || '"', '') || coalesce(',"fresh":[' || x.fresh || ']', '') || '}', ',')
    FROM unnest(v_is, v_reasons, v_heads, v_nows, v_fresh) AS x (i, reason, head, now, fresh)) || ']}';
END $fn$;
`
}

/** What an append to a stream that was there writes to its row; that holds the fence of one job only. */
function touchFunctions(s: string): string {
  return `
CREATE OR REPLACE FUNCTION ${s}.nq_touch(
  p_appends text, p_rows tid[], p_added int[], p_nows bigint[], p_commits xid8[])
RETURNS void LANGUAGE plpgsql ${BY_ADDRESS} AS $fn$
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
RETURNS void LANGUAGE plpgsql ${BY_ADDRESS} AS $fn$
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
