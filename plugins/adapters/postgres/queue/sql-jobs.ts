import { quoteText } from '../lib/postgres.ts'
import { FIRST_TURN, WITHOUT_TURN } from './sql-fair-keys.ts'
import { USE_INDEXES } from './sql-plans.ts'

/** How far a fractional priority of 1 would move `created_on` back, in milliseconds: a hundred years. */
export const FRACTION = 3_155_760_000_000

/**
 * `nq_enqueue` stores jobs like pg-boss, with our envelope under `nq` in `trace_context`. pg-boss keeps this column and never
 * reads it. The order of the index is the order of the queue: `created_on` is the moment at which a job is due, and the jobs of a batch,
 * and the jobs of a process that are due at the same moment, are one microsecond apart.
 *
 * Arguments:
 *
 * - `p_jobs`: the jobs as a JSON array, with these members:
 *
 *   | member | meaning |
 *   |---|---|
 *   | `n` | the position of the job among the jobs that are due at the same moment |
 *   | `q`, `i` | the queue and the id in pg-boss |
 *   | `p`, `f` | the integer part and the fraction of the priority |
 *   | `e` | the `trace_context` |
 *   | `w`, `at` | the delay in milliseconds, and the due time in milliseconds since the epoch; absent if the job is due now |
 *   | `rl`, `rd` | retry limit and retry delay |
 *   | `rb`, `rx` | exponential backoff, and the maximum retry delay |
 *   | `s`, `c` | for a job with a fair key: its `singleton_key`, and its turn, unless it has none yet |
 *
 * - `p_data`: the payloads as a JSON array, in the same order.
 * - `p_count`: the number of jobs.
 * - `p_notify`: the queues to announce.
 *
 * Returns the stored jobs. Returns no rows if all jobs were stored, which is the common case, and one row without an id if none was.
 */
export function enqueueFunction(s: string, channel: string): string {
  return `
CREATE OR REPLACE FUNCTION ${s}.nq_enqueue(p_jobs text, p_data text, p_count int, p_notify text[])
RETURNS TABLE (queue text, id uuid) LANGUAGE plpgsql ${USE_INDEXES} AS $fn$
#variable_conflict use_column
DECLARE
  v_now timestamptz := clock_timestamp();
  v_queues text[];
  v_ids uuid[];
BEGIN
  WITH ins AS (
    INSERT INTO ${s}.job (
      id, name, priority, data, retry_limit, retry_delay, retry_backoff, retry_delay_max, expire_seconds,
      deletion_seconds, start_after, created_on, keep_until, policy, singleton_key, trace_context
    )
    SELECT
      j.i, j.q, j.p, nullif(j.d::text, 'null')::jsonb, j.rl, j.rd, j.rb, j.rx, 86400, 0, j.due,
      CASE WHEN j.c IS NOT NULL THEN ${FIRST_TURN} + j.c * interval '1 microsecond'
        ELSE j.due + (j.n * 0.001 - coalesce(j.f, 0) * ${FRACTION}) * interval '1 ms'
          + CASE WHEN j.s IS NULL THEN interval '0' ELSE ${WITHOUT_TURN} END END,
      'infinity', 'standard', j.s, j.e
    FROM (
      SELECT x.*,
        -- If the clocks agree to within a second, the due time of the client is used, so that jobs that are due together stay together.
        CASE WHEN x.w IS NULL THEN v_now
          WHEN v_now - to_timestamp((x.at - x.w) / 1000) BETWEEN interval '0' AND interval '1 second'
            THEN to_timestamp(x.at / 1000)
          ELSE v_now + x.w * interval '1 ms' END AS due
      -- Payloads are large. As a separate argument, they are parsed only once.
      FROM ROWS FROM (
        json_to_recordset(p_jobs::json) AS (
          n int, q text, i uuid, p int, f double precision, e jsonb, w double precision, at double precision,
          rl int, rd int, rb boolean, rx int, c bigint, s text
        ),
        json_array_elements(p_data::json)
      ) AS x (n, q, i, p, f, e, w, at, rl, rd, rb, rx, c, s, d)
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
