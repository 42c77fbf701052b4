import { FIRST_TURN, NO_TURN, WITHOUT_TURN } from './sql-fair-keys.ts'
import { enqueueFunction } from './sql-jobs.ts'
import { claimFunction, settleFunction, takeTurnFunction } from './sql-settle-and-claim.ts'
import { USE_CTIDS, USE_INDEX_ORDER, USE_INDEXES } from './sql-plans.ts'

/** A turn, and the distance of two jobs in the same turn, in microseconds. */
const TURN = 10_000_000
const STEP = 10
/** Jobs of different keys within this distance are in the same turn, in the order of arrival. In microseconds. */
const SAME_TURN = TURN / 64
/** How many jobs receive a turn in one poll. */
const PER_POLL = 500
/** Two statements give turns to jobs of the same key only one after the other. Keys share this many locks. */
const LOCKS = 64

/**
 * Version 9: fair keys take turns.
 *
 * pg-boss starts jobs in the order of `created_on`, so the turn of a job is its `created_on`, in years after 2300. Claims need not know of
 * keys. Jobs without a key come first, because they are due today. `singleton_key` is `nq:<priority>:<token>`, so that pg-boss's own
 * index finds the last waiting job of a key. Our queues have the policy `standard`, which gives this column no other meaning.
 *
 *     enqueue ──────────────────────────────> has a turn (`nq:<priority>:<token>`) ── claim ──> active
 *        └─ delay, transaction ─> has none (`nq:due`, created_on + 7000 years) ── nq_fair_admit ──^     │
 *                                        ^────────── retry, defer, promote, reschedule ────────────────┘
 *
 * - `nq_fair_turns(p_queue, p_priorities, p_tokens, p_weights)` returns the turns of new jobs, in microseconds after `FIRST_TURN`. The turn
 *   in progress is the one of the first waiting job. A key without waiting jobs joins it, behind the jobs in it. Every other job comes a
 *   turn, divided by its weight, after the last waiting job of its key.
 * - `nq_enqueue_fair` stores jobs like `nq_enqueue_tagged`. The members `k` (token) and `g` (weight) of a job give it a turn.
 * - `nq_fair_admit(p_queue)` gives turns to jobs that are due. Returns true if there may be more.
 * - `nq_queue.fair` is true for queues that have ever had a job with a fair key. Other queues run the same statements as before.
 *
 * Invariant: no two statements give turns to jobs of one key at the same time. `nq_enqueue_fair` waits for the lock of a key, in the order
 * of the locks. It therefore runs only in separate transactions. Jobs in the transaction of a caller receive their turn later. A poll
 * holds rows, so it does not wait for locks, and leaves such jobs to the next poll.
 */
export function fairStatements(s: string, channel: string): string {
  const microseconds = (moment: string): string => `(extract(epoch FROM ${moment} - ${FIRST_TURN}) * 1000000)::bigint`
  const lockOf = (queue: string, token: string): string => `hashtext(${queue} || ' ' || ${token}) & ${LOCKS - 1}`
  const waiting = `j.state < 'active' AND NOT j.blocked AND j.start_after <= clock_timestamp()`
  return `
ALTER TABLE ${s}.nq_queue ADD COLUMN fair boolean NOT NULL DEFAULT false;
${enqueueFunction(s, channel)}
${settleFunction(s)}
${claimFunction(s)}
${takeTurnFunction(s, channel)}

CREATE FUNCTION ${s}.nq_fair_turns(p_queue text, p_priorities int[], p_tokens text[], p_weights double precision[])
RETURNS bigint[] LANGUAGE plpgsql
${USE_INDEXES} SET enable_bitmapscan = off SET enable_sort = off SET enable_incremental_sort = off AS $fn$
BEGIN
  RETURN ARRAY(
    WITH x AS MATERIALIZED (
      SELECT u.*, sum(step) OVER same AS upto, row_number() OVER same AS place
      FROM (
        SELECT n, p, k, (${TURN} / coalesce(w, 1))::bigint AS step
        FROM unnest(p_priorities, p_tokens, p_weights) WITH ORDINALITY AS a (p, k, w, n)
      ) u WINDOW same AS (PARTITION BY p, k ORDER BY n)
    ), level AS MATERIALIZED (
      SELECT l.p, f.first, t.latest FROM (SELECT DISTINCT p FROM x) l
      -- Only the index of claims has both columns of this order.
      LEFT JOIN LATERAL (
        SELECT j.created_on AS first FROM ${s}.job j
        WHERE j.name = p_queue AND j.priority = l.p AND ${waiting} AND j.created_on >= ${FIRST_TURN}
          AND j.created_on < ${FIRST_TURN} + interval '5000 years'
        ORDER BY j.created_on, j.start_after LIMIT 1
      ) f ON true
      LEFT JOIN LATERAL (
        SELECT j.created_on AS latest FROM ${s}.job j
        WHERE j.name = p_queue AND j.priority = l.p AND ${waiting} AND j.created_on >= f.first
          AND j.created_on < f.first + interval '${SAME_TURN} microseconds'
        ORDER BY j.created_on DESC, j.start_after DESC LIMIT 1
      ) t ON true
    ), start AS MATERIALIZED (
      SELECT x.p, x.k, x.step,
        CASE WHEN a.last IS NOT NULL THEN ${microseconds('a.last')} + x.step
          ELSE coalesce(
            least(${microseconds('level.latest')} + ${STEP}, ${microseconds('level.first')} + ${SAME_TURN}), 0)
            + ${STEP} * ((count(*) FILTER (WHERE a.last IS NULL) OVER (PARTITION BY x.p ORDER BY x.n)) - 1)
        END AS at
      FROM x JOIN level ON level.p = x.p
      LEFT JOIN LATERAL (
        SELECT j.created_on AS last FROM ${s}.job j
        WHERE j.name = p_queue AND j.singleton_key = 'nq:' || x.p || ':' || x.k AND j.state < 'active'
          AND j.created_on >= level.first
        ORDER BY j.created_on DESC LIMIT 1
      ) a ON true
      WHERE x.place = 1
    )
    SELECT (start.at + x.upto - start.step)::bigint FROM x JOIN start ON start.p = x.p AND start.k = x.k ORDER BY x.n
  );
END $fn$;

CREATE FUNCTION ${s}.nq_enqueue_fair(
  p_jobs text, p_data text, p_count int, p_notify text[], p_queues text[], p_ids uuid[], p_tags text
) RETURNS TABLE (queue text, id uuid, run text) LANGUAGE plpgsql ${USE_INDEXES} AS $fn$
#variable_conflict use_column
DECLARE
  v_jobs text;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('nq_fair'), l.lock) FROM (
    SELECT DISTINCT ${lockOf('x.q', 'x.k')} AS lock FROM json_to_recordset(p_jobs::json) AS x (q text, k text)
    WHERE x.k IS NOT NULL ORDER BY 1
  ) l;
  WITH x AS MATERIALIZED (
    SELECT a.n, a.job::text AS text, a.job ->> 'q' AS q, (a.job ->> 'p')::int AS p, a.job ->> 'k' AS k,
      (a.job ->> 'g')::double precision AS g
    FROM json_array_elements(p_jobs::json) WITH ORDINALITY AS a (job, n)
  ), turns AS MATERIALIZED (
    SELECT u.n, u.turn FROM (
      SELECT x.q, array_agg(x.n ORDER BY x.n) AS places, array_agg(x.p ORDER BY x.n) AS priorities,
        array_agg(x.k ORDER BY x.n) AS tokens, array_agg(x.g ORDER BY x.n) AS weights
      FROM x WHERE x.k IS NOT NULL GROUP BY x.q
    ) q CROSS JOIN LATERAL unnest(q.places, ${s}.nq_fair_turns(q.q, q.priorities, q.tokens, q.weights)) AS u (n, turn)
  )
  SELECT '[' || string_agg(CASE WHEN turns.turn IS NULL THEN x.text
      ELSE left(x.text, -1) || ',"c":' || turns.turn || ',"s":"nq:' || x.p || ':' || x.k || '"}' END, ',' ORDER BY x.n) || ']'
  INTO v_jobs FROM x LEFT JOIN turns ON turns.n = x.n;
  RETURN QUERY SELECT r.queue, r.id, r.run
    FROM ${s}.nq_enqueue_tagged(v_jobs, p_data, p_count, p_notify, p_queues, p_ids, p_tags) r;
END $fn$;

CREATE FUNCTION ${s}.nq_fair_move(p_queue text, p_rows tid[], p_turns bigint[], p_tokens text[])
RETURNS void LANGUAGE plpgsql ${USE_CTIDS} AS $fn$
BEGIN
  UPDATE ${s}.job j SET
    created_on = ${FIRST_TURN} + x.turn * interval '1 microsecond', singleton_key = 'nq:' || j.priority || ':' || x.token
  FROM unnest(p_rows, p_turns, p_tokens) AS x (row, turn, token) WHERE j.ctid = x.row AND j.name = p_queue;
END $fn$;

CREATE FUNCTION ${s}.nq_fair_admit(p_queue text) RETURNS boolean LANGUAGE plpgsql ${USE_INDEX_ORDER} AS $fn$
DECLARE
  v_found int;
  v_rows tid[];
  v_priorities int[];
  v_tokens text[];
  v_weights double precision[];
BEGIN
  -- Locks of keys whose jobs another statement is storing are not waited for.
  WITH due AS MATERIALIZED (
    SELECT j.ctid AS row, j.priority, j.created_on, j.trace_context #>> '{nq,q}' AS token,
      (j.trace_context #>> '{nq,v}')::double precision AS weight
    FROM ${s}.job j
    WHERE j.name = p_queue AND j.singleton_key = '${NO_TURN}' AND j.state < 'active'
      AND j.trace_context #>> '{nq,q}' IS NOT NULL AND j.created_on <= clock_timestamp() + ${WITHOUT_TURN} AND j.start_after <= clock_timestamp()
    ORDER BY j.created_on LIMIT ${PER_POLL} FOR UPDATE SKIP LOCKED
  ), locks AS MATERIALIZED (
    SELECT l.lock, pg_try_advisory_xact_lock(hashtext('nq_fair'), l.lock) AS free
    FROM (SELECT DISTINCT ${lockOf('p_queue', 'due.token')} AS lock FROM due) l
  ), mine AS (
    SELECT due.* FROM due JOIN locks ON locks.lock = ${lockOf('p_queue', 'due.token')} WHERE locks.free
  )
  SELECT (SELECT count(*) FROM due), array_agg(row ORDER BY created_on), array_agg(priority ORDER BY created_on),
    array_agg(token ORDER BY created_on), array_agg(weight ORDER BY created_on)
  INTO v_found, v_rows, v_priorities, v_tokens, v_weights FROM mine;
  IF v_rows IS NULL THEN RETURN v_found > 0; END IF;
  PERFORM ${s}.nq_fair_move(
    p_queue, v_rows, ${s}.nq_fair_turns(p_queue, v_priorities, v_tokens, v_weights), v_tokens);
  RETURN v_found = ${PER_POLL} OR cardinality(v_rows) < v_found;
END $fn$;`
}
