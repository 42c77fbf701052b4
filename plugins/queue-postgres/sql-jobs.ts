import { quoteText } from '../_shared/postgres.ts'
import { HELD } from './sql-upkeep.ts'

/** Plans that were made while a table was small must serve it when it is large. */
const BY_INDEX = `SET plan_cache_mode = force_generic_plan SET enable_seqscan = off`
const IN_ORDER = `${BY_INDEX} SET enable_sort = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off`

/** What a fractional priority moves `created_on` back, in milliseconds for a whole: a hundred years. */
const FRACTION = 3_155_760_000_000

/**
 * Stores jobs as pg-boss does, with our envelope under `nq` in `trace_context`, which pg-boss carries
 * along and never reads. `created_on` is when a job joins the line, so that its order is that of the
 * index: a delayed job joins when it is due, a batch joins one microsecond after the other.
 *
 * Answers which jobs were stored, or nothing when all were, which is nearly always.
 */
export function enqueueFunction(s: string, channel: string): string {
  return `
CREATE FUNCTION ${s}.nq_enqueue(p_jobs text, p_data text, p_count int, p_notify text[])
RETURNS TABLE (queue text, id uuid) LANGUAGE plpgsql ${BY_INDEX} AS $fn$
#variable_conflict use_column
DECLARE
  v_now timestamptz := clock_timestamp();
  v_queues text[];
  v_ids uuid[];
BEGIN
  WITH ins AS (
    INSERT INTO ${s}.job (
      id, name, priority, data, retry_limit, retry_delay, retry_backoff, retry_delay_max, expire_seconds,
      deletion_seconds, start_after, created_on, keep_until, policy, trace_context
    )
    SELECT
      j.i, j.q, j.p, nullif(j.d::text, 'null')::jsonb, j.rl, j.rd, j.rb, j.rx, 86400, 0, j.due,
      j.due + (j.n * 0.001 - coalesce(j.f, 0) * ${FRACTION}) * interval '1 ms',
      'infinity', 'standard', j.e
    FROM (
      SELECT x.*,
        -- Clocks that agree within a second are taken as one, so that what is due together stays together.
        CASE WHEN x.w IS NULL THEN v_now
          WHEN v_now - to_timestamp((x.at - x.w) / 1000) BETWEEN interval '0' AND interval '1 second'
            THEN to_timestamp(x.at / 1000)
          ELSE v_now + x.w * interval '1 ms' END AS due
      -- Payloads are large: parsed apart, they are read once.
      FROM ROWS FROM (
        json_to_recordset(p_jobs::json) AS (
          n int, q text, i uuid, p int, f double precision, e jsonb, w double precision, at double precision,
          rl int, rd int, rb boolean, rx int
        ),
        json_array_elements(p_data::json)
      ) AS x (n, q, i, p, f, e, w, at, rl, rd, rb, rx, d)
    ) j
    ON CONFLICT DO NOTHING
    RETURNING job.name, job.id
  )
  SELECT array_agg(ins.name), array_agg(ins.id) INTO v_queues, v_ids FROM ins;
  PERFORM pg_notify(${quoteText(channel)}, q) FROM unnest(p_notify) AS q;
  IF coalesce(cardinality(v_ids), 0) = p_count THEN RETURN; END IF;
  RETURN QUERY SELECT * FROM unnest(v_queues, v_ids);
  IF NOT FOUND THEN RETURN QUERY SELECT ''::text, NULL::uuid; END IF;
END $fn$;`
}

/**
 * One turn of a consumer: settles what has run, claims what may run, and tells in how many
 * milliseconds the next job is due. One round trip and one commit for all of it.
 */
export function turnFunction(s: string): string {
  return `
CREATE FUNCTION ${s}.nq_turn(p_queue text, p_limit int, p_lease double precision, p_settle text, p_hold double precision)
RETURNS TABLE (
  kind text, id uuid, data text, env text, retry_count int, priority int, retry_limit int, retry_delay int,
  retry_backoff boolean, retry_delay_max int, started double precision, created double precision, due double precision
) LANGUAGE plpgsql
${IN_ORDER} AS $fn$
#variable_conflict use_column
DECLARE
  v_now timestamptz := clock_timestamp();
  v_closed boolean;
  v_until timestamptz;
  v_claimed int := 0;
  v_due timestamptz;
BEGIN
  IF p_settle IS NOT NULL THEN
    RETURN QUERY
    WITH x AS MATERIALIZED (
      SELECT * FROM json_to_recordset(p_settle::json) AS x (i uuid, n int, s text, o jsonb, d double precision, p jsonb)
    )
    UPDATE ${s}.job j SET
      state = x.s::${s}.job_state,
      completed_on = CASE WHEN x.s <> 'retry' THEN v_now END,
      output = CASE WHEN x.s = 'retry' AND x.o IS NULL THEN j.output ELSE x.o END,
      start_after = CASE WHEN x.d IS NULL THEN j.start_after
        WHEN j.trace_context #> '{nq,u}' IS NOT NULL AND x.o IS NULL THEN v_now
        ELSE v_now + x.d * interval '1 ms' END,
      created_on = CASE WHEN x.d IS NULL THEN j.created_on
        WHEN j.trace_context #> '{nq,u}' IS NOT NULL AND x.o IS NULL THEN v_now
        ELSE v_now + x.d * interval '1 ms' END
        - coalesce((j.trace_context #>> '{nq,f}')::double precision, 0)
          * CASE WHEN x.d IS NULL THEN interval '0' ELSE interval '${FRACTION} ms' END,
      heartbeat_seconds = nullif(j.heartbeat_seconds - ${HELD}, 0),
      trace_context = CASE WHEN x.p IS NULL THEN j.trace_context ELSE jsonb_set(
        coalesce(j.trace_context, '{}'), '{nq}', coalesce(j.trace_context -> 'nq', '{}') - 'u' || x.p) END
    FROM x
    WHERE j.name = p_queue AND j.id = x.i AND j.state = 'active' AND j.retry_count = x.n
    RETURNING 's', j.id, NULL::text, NULL::text, j.retry_count, NULL::int, NULL::int, NULL::int, NULL::boolean,
      NULL::int, NULL::double precision, NULL::double precision, NULL::double precision;
  END IF;
  IF p_hold > 0 THEN
    INSERT INTO ${s}.nq_queue AS q (name, held_until) VALUES (p_queue, v_now + p_hold * interval '1 ms')
    ON CONFLICT ON CONSTRAINT nq_queue_pkey DO UPDATE SET held_until = greatest(q.held_until, excluded.held_until);
  END IF;
  IF p_limit <= 0 THEN RETURN; END IF;
  SELECT q.paused, q.held_until INTO v_closed, v_until FROM ${s}.nq_queue q WHERE q.name = p_queue;
  v_now := clock_timestamp();
  IF v_closed THEN RETURN; END IF;
  IF v_until > v_now THEN
    v_due := v_until;
  ELSE
    RETURN QUERY
    WITH next AS (
      SELECT j.id FROM ${s}.job j
      WHERE j.name = p_queue AND j.state < 'active' AND NOT j.blocked AND j.start_after <= v_now
      ORDER BY j.priority DESC, j.created_on LIMIT p_limit
      FOR UPDATE OF j SKIP LOCKED
    )
    UPDATE ${s}.job j SET
      state = 'active', started_on = v_now, heartbeat_on = v_now + p_lease * interval '1 ms',
      heartbeat_seconds = ${HELD} + coalesce(j.heartbeat_seconds, 0) % ${HELD},
      retry_count = CASE WHEN j.started_on IS NOT NULL THEN j.retry_count + 1 ELSE j.retry_count END
    FROM next WHERE j.name = p_queue AND j.id = next.id
    RETURNING 'c', j.id, j.data::text, (j.trace_context -> 'nq')::text, j.retry_count, j.priority, j.retry_limit,
      j.retry_delay, j.retry_backoff, j.retry_delay_max, extract(epoch FROM j.started_on)::double precision * 1000,
      extract(epoch FROM j.created_on)::double precision * 1000,
      extract(epoch FROM j.start_after)::double precision * 1000;
    GET DIAGNOSTICS v_claimed = ROW_COUNT;
    IF v_claimed >= p_limit THEN RETURN; END IF;
    SELECT min(a.at) INTO v_due FROM (
      (SELECT j.start_after AS at FROM ${s}.job j WHERE j.name = p_queue AND j.state = 'created' AND NOT j.blocked
        AND j.start_after > v_now ORDER BY j.start_after LIMIT 1)
      UNION ALL
      (SELECT j.start_after FROM ${s}.job j WHERE j.name = p_queue AND j.state = 'retry' AND NOT j.blocked
        AND j.start_after > v_now ORDER BY j.start_after LIMIT 1)) a;
  END IF;
  RETURN QUERY SELECT 'd', NULL::uuid, NULL::text, NULL::text, NULL::int, NULL::int, NULL::int, NULL::int, NULL::boolean,
    NULL::int, NULL::double precision, NULL::double precision,
    extract(epoch FROM v_due - clock_timestamp())::double precision * 1000;
END $fn$;`
}
