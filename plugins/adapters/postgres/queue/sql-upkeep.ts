import { USE_CTIDS, USE_INDEXES, USE_INDEX_ORDER } from './sql-plans.ts'

/**
 * Added to `heartbeat_seconds` while one of our workers has claimed a job. `heartbeat_on` is then the end of its lease. The supervisor of
 * pg-boss sees a heartbeat that is not due for decades and ignores the job. The value also distinguishes our claims from those of a
 * plain pg-boss worker.
 */
export const HOLDS_QUEUE = 1_000_000_000

/**
 * The functions of leases.
 *
 * - `nq_renew(p_queue, p_ids, p_counts, p_lease)` renews the leases of claims. `p_ids` and `p_counts` are parallel arrays: the id of each
 *   job, and the `retry_count` that identifies the claim. `p_lease` is in milliseconds. Returns the ids of the renewed jobs; all
 *   others have been claimed by another worker.
 * - `nq_beat(p_queue, p_rows, p_lease)` updates locked rows by their `ctid`. Only `nq_renew` calls it.
 * - `nq_reclaim(p_queues)` makes jobs with an expired lease available again, and counts a crash for each. Returns their queues and ids.
 */
export function upkeepFunctions(s: string): string {
  return `
CREATE FUNCTION ${s}.nq_beat(p_queue text, p_rows tid[], p_lease double precision)
RETURNS SETOF uuid LANGUAGE plpgsql ${USE_CTIDS} AS $fn$
BEGIN
  RETURN QUERY UPDATE ${s}.job j SET
    heartbeat_on = clock_timestamp() + p_lease * interval '1 ms',
    -- pg-boss allows at most a day, so each renewal extends the expiry by a day.
    expire_seconds = greatest(j.expire_seconds, extract(epoch FROM clock_timestamp() - j.started_on)::int + 86400)
  FROM unnest(p_rows) AS x (row) WHERE j.ctid = x.row AND j.name = p_queue
  RETURNING j.id;
END $fn$;

CREATE FUNCTION ${s}.nq_renew(p_queue text, p_ids uuid[], p_counts int[], p_lease double precision)
RETURNS SETOF uuid LANGUAGE plpgsql ${USE_INDEX_ORDER} AS $fn$
BEGIN
  RETURN QUERY SELECT * FROM ${s}.nq_beat(p_queue, ARRAY(
    SELECT l.row FROM unnest(p_ids, p_counts) AS x (id, count) CROSS JOIN LATERAL (
      SELECT j.ctid AS row FROM ${s}.job j
      WHERE j.name = p_queue AND j.id = x.id AND j.state::text = 'active' AND j.retry_count = x.count LIMIT 1 FOR UPDATE
    ) l
  ), p_lease);
END $fn$;

CREATE FUNCTION ${s}.nq_reclaim(p_queues text[])
RETURNS TABLE (name text, id uuid) LANGUAGE plpgsql
${USE_INDEXES} SET enable_bitmapscan = off AS $fn$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  UPDATE ${s}.job j SET
    state = 'retry', start_after = clock_timestamp(), heartbeat_seconds = nullif(j.heartbeat_seconds - ${HOLDS_QUEUE}, 0),
    trace_context = jsonb_set(coalesce(j.trace_context, '{}'), '{nq}', coalesce(j.trace_context -> 'nq', '{}')
      || jsonb_build_object('c', coalesce((j.trace_context #>> '{nq,c}')::int, 0) + 1))
  WHERE (j.name, j.id) IN (
    SELECT k.name, k.id FROM ${s}.job k
    WHERE k.name = ANY (p_queues) AND k.state = 'active' AND k.heartbeat_seconds >= ${HOLDS_QUEUE}
      AND k.heartbeat_on < clock_timestamp()
    LIMIT 1000 FOR UPDATE OF k SKIP LOCKED
  )
  RETURNING j.name, j.id;
END $fn$;`
}
