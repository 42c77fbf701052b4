import { quoteText } from '../_shared/postgres.ts'

/** Plans that were made while a table was small must serve it when it is large. */
const BY_INDEX = `SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
SET enable_hashjoin = off SET enable_mergejoin = off`

const APPENDS = `i int, s text, u text, j text, t bigint, x int, r boolean, p boolean,
      rs text, rn text, rq text, rj text, rf text`
const EVENTS = `i int, y text, k text, f text, s text, d text, a int, v text`

/**
 * Appends to many streams in one commit, each append accepted or refused on its own.
 *
 * A stream that is not there cannot refuse, so its row is written as it will be; that is most appends of
 * jobs that run for the first time. The others lock the rows of their streams in one order, then look
 * at them and at their keys under a snapshot taken after that, then insert. A stream comes once in a
 * call of `nq_append`; `nq_append_rounds` makes several calls in one transaction.
 */
export function appendFunctions(s: string, channel: string): string {
  return `
CREATE FUNCTION ${s}.nq_append(p_appends text, p_events text)
RETURNS TABLE (i int, reason text, head int, ts bigint, fresh int[]) LANGUAGE plpgsql ${BY_INDEX} AS $fn$
#variable_conflict use_column
DECLARE
  v_now bigint := floor(extract(epoch FROM clock_timestamp()) * 1000);
  v_xid xid8 := pg_current_xact_id();
  v_new int[];
  v_old text[];
BEGIN
  WITH a AS MATERIALIZED (
    SELECT * FROM json_to_recordset(p_appends::json) AS x (${APPENDS})
  ), e AS MATERIALIZED (
    SELECT x.*, row_number() OVER (PARTITION BY x.i ORDER BY x.ord)::int AS n FROM (
      SELECT z.*, row_number() OVER (PARTITION BY z.i, z.k ORDER BY z.ord) AS nth FROM ROWS FROM (
        json_to_recordset(p_events::json) AS (${EVENTS})
      ) WITH ORDINALITY AS z (i, y, k, f, s, d, a, v, ord)
    ) x WHERE x.k IS NULL OR x.nth = 1
  ), c AS MATERIALIZED (
    SELECT e.i, count(*)::int AS n FROM e GROUP BY e.i
  ), ins AS (
    INSERT INTO ${s}.nq_stream (
      name, head, ts, xid, fence_job, fence_token, status, run_name, queue, job_id, flow, started, updated, ended
    )
    SELECT a.s, coalesce((SELECT c.n FROM c WHERE c.i = a.i), 0), v_now, v_xid, a.j, a.t,
      CASE WHEN a.p THEN coalesce(a.rs, 'running') WHEN a.r THEN 'running' END,
      CASE WHEN a.p OR a.r THEN coalesce(a.rn, '') END, a.rq, a.rj, a.rf,
      CASE WHEN a.p OR a.r THEN v_now END, v_now,
      CASE WHEN a.p AND coalesce(a.rs, 'running') <> 'running' THEN v_now END
    FROM a WHERE coalesce(a.x, 0) = 0 ORDER BY a.s COLLATE "C"
    ON CONFLICT (name) DO NOTHING
    RETURNING name, id
  ), new AS MATERIALIZED (
    SELECT a.i, ins.id FROM ins JOIN a ON a.s = ins.name
  ), stored AS (
    INSERT INTO ${s}.nq_event (stream, seq, ts, xid, type, key, flow, step, step_id, attempt, data)
    SELECT new.id, e.n, v_now, v_xid, e.y, e.k, e.f, e.s, e.d, e.a, e.v
    FROM new JOIN e ON e.i = new.i ORDER BY new.id, e.n
  )
  SELECT array_agg(new.i), (SELECT array_agg(a.s) FROM a WHERE NOT EXISTS (SELECT FROM new n WHERE n.i = a.i))
  INTO v_new, v_old FROM new;

  RETURN QUERY
  SELECT x.i, NULL::text, count(e.i)::int, v_now,
    CASE WHEN count(e.i) = count(DISTINCT e.k) + count(e.i) FILTER (WHERE e.k IS NULL) THEN NULL
      ELSE array_agg(e.o) FILTER (WHERE e.k IS NULL OR e.first) END
  FROM unnest(v_new) AS x (i) LEFT JOIN (
    SELECT z.i, z.k, (row_number() OVER (PARTITION BY z.i ORDER BY z.ord))::int - 1 AS o,
      row_number() OVER (PARTITION BY z.i, z.k ORDER BY z.ord) = 1 AS first
    FROM ROWS FROM (json_to_recordset(p_events::json) AS (${EVENTS})) WITH ORDINALITY AS z (i, y, k, f, s, d, a, v, ord)
  ) e ON e.i = x.i GROUP BY x.i;
  IF v_old IS NULL THEN RETURN; END IF;

  PERFORM FROM ${s}.nq_stream t WHERE t.name = ANY (v_old) ORDER BY t.name FOR UPDATE;
  v_now := floor(extract(epoch FROM clock_timestamp()) * 1000);
  RETURN QUERY
  WITH a AS MATERIALIZED (
    SELECT x.*, t.id, t.name, coalesce(t.head, 0) AS head, greatest(v_now, t.ts) AS ts, greatest(v_xid, t.xid) AS xid,
      CASE
        WHEN x.u IS NOT NULL AND EXISTS (SELECT FROM ${s}.nq_event k WHERE k.stream = t.id AND k.key = x.u) THEN 'unless'
        WHEN t.status <> 'running' AND NOT coalesce(x.r, false) THEN 'ended'
        WHEN x.t < CASE WHEN t.fence_job = x.j THEN t.fence_token ELSE (t.fences ->> x.j)::bigint END THEN 'fence'
        WHEN x.x <> coalesce(t.head, 0) THEN 'expectedSeq'
      END AS reason
    FROM json_to_recordset(p_appends::json) AS x (${APPENDS})
    LEFT JOIN ${s}.nq_stream t ON t.name = x.s
    WHERE x.s = ANY (v_old)
  ), e AS MATERIALIZED (
    SELECT x.*, row_number() OVER (PARTITION BY x.i ORDER BY x.o)::int AS n FROM (
      SELECT z.*, a.id, (row_number() OVER (PARTITION BY z.i ORDER BY z.ord))::int - 1 AS o,
        row_number() OVER (PARTITION BY z.i, z.k ORDER BY z.ord) AS nth
      FROM ROWS FROM (json_to_recordset(p_events::json) AS (${EVENTS})) WITH ORDINALITY AS z (i, y, k, f, s, d, a, v, ord)
      JOIN a ON a.i = z.i WHERE a.reason IS NULL
    ) x WHERE x.k IS NULL
      OR (x.nth = 1 AND NOT EXISTS (SELECT FROM ${s}.nq_event k WHERE k.stream = x.id AND k.key = x.k))
  ), c AS MATERIALIZED (
    SELECT e.i, count(*)::int AS n, array_agg(e.o ORDER BY e.o) AS fresh FROM e GROUP BY e.i
  ), stored AS (
    INSERT INTO ${s}.nq_event (stream, seq, ts, xid, type, key, flow, step, step_id, attempt, data)
    SELECT a.id, a.head + e.n, a.ts, a.xid, e.y, e.k, e.f, e.s, e.d, e.a, e.v
    FROM e JOIN a ON a.i = e.i ORDER BY a.id, e.n
  ), touched AS (
    UPDATE ${s}.nq_stream t SET
      head = a.head + coalesce((SELECT c.n FROM c WHERE c.i = a.i), 0), ts = a.ts, xid = a.xid, updated = a.ts,
      fence_job = coalesce(t.fence_job, a.j),
      fence_token = CASE WHEN coalesce(t.fence_job, a.j) = a.j THEN greatest(t.fence_token, a.t) ELSE t.fence_token END,
      fences = CASE WHEN t.fence_job <> a.j
        THEN coalesce(t.fences, '{}') || jsonb_build_object(a.j, greatest((t.fences ->> a.j)::bigint, a.t)) ELSE t.fences END,
      status = CASE WHEN a.p THEN coalesce(a.rs, t.status, 'running') WHEN a.r THEN 'running' ELSE t.status END,
      run_name = CASE WHEN a.p OR a.r THEN coalesce(a.rn, t.run_name, '') ELSE t.run_name END,
      queue = coalesce(a.rq, t.queue), job_id = coalesce(a.rj, t.job_id), flow = coalesce(a.rf, t.flow),
      started = CASE WHEN a.p OR a.r THEN coalesce(t.started, a.ts) ELSE t.started END,
      ended = CASE WHEN a.p THEN CASE WHEN coalesce(a.rs, t.status, 'running') <> 'running' THEN a.ts END
        WHEN a.r THEN NULL ELSE t.ended END
    FROM a WHERE t.name = a.s AND a.reason IS NULL
  )
  SELECT a.i, a.reason, a.head + coalesce(c.n, 0), a.ts, coalesce(c.fresh, '{}') FROM a LEFT JOIN c ON c.i = a.i;
END $fn$;

CREATE FUNCTION ${s}.nq_append_all(p_rounds text, p_notify text)
RETURNS TABLE (i int, reason text, head int, ts bigint, fresh int[]) LANGUAGE plpgsql AS $fn$
#variable_conflict use_column
DECLARE
  v_round json;
BEGIN
  FOR v_round IN SELECT * FROM json_array_elements(p_rounds::json) LOOP
    RETURN QUERY SELECT * FROM ${s}.nq_append((v_round -> 0)::text, (v_round -> 1)::text);
  END LOOP;
  PERFORM pg_notify(${quoteText(channel)}, p_notify);
END $fn$;`
}
