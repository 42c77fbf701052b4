import { quoteText } from '../lib/postgres.ts'
import { BY_INDEX } from './sql-plans.ts'

/** What a fractional priority moves `created_on` back, in milliseconds for a whole: a hundred years. */
export const FRACTION = 3_155_760_000_000

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
