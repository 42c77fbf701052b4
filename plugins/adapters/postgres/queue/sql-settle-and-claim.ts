import { quoteText } from '../lib/postgres.ts'
import { ENVELOPE } from './record.ts'
import { DUE_KEY, dueOn } from './sql-fair-keys.ts'
import { FRACTION } from './sql-jobs.ts'
import { USE_CTIDS, USE_INDEX_ORDER } from './sql-plans.ts'
import { HOLDS_QUEUE } from './sql-upkeep.ts'

/**
 * The members of a settlement, in the JSON argument `p_settle`. Instances of the release before send the same letters, so they must not
 * change.
 *
 * | member | meaning |
 * |---|---|
 * | `i` | the id of the job |
 * | `n` | the `retry_count` that identifies the claim |
 * | `s` | the new state: `completed`, `failed`, `cancelled`, or `retry` if the job runs again |
 * | `o` | the output: result or error |
 * | `d` | the delay in milliseconds until the job is due again; absent if it returns to its old position |
 * | `p` | members to change in the envelope (see `Envelope` in `record.ts`) |
 */
const SETTLED = `i uuid, n int, s text, o jsonb, d double precision, p jsonb`
/** The columns of a claimed job. `at` is the `ctid` of the row, `env` the envelope; times are in milliseconds since the epoch. */
const ROW = `id uuid, at text, data text, env text, retry_count int, priority int, retry_limit int, retry_delay int,
  retry_backoff boolean, retry_delay_max int, started double precision, created double precision, due double precision`
const NO_ROW = `NULL::text, NULL::text, NULL::text, NULL::int, NULL::int, NULL::int, NULL::int, NULL::boolean,
  NULL::int, NULL::double precision, NULL::double precision`

/**
 * `nq_take_turn` is one poll of a consumer: it settles jobs that have run, claims the next jobs, and returns when the next job is due.
 * All of this is one round trip and one commit.
 *
 * Arguments: `p_queue`, the queue in pg-boss; `p_limit`, how many jobs to claim at most; `p_lease` in milliseconds; `p_settle`, the
 * settlements as a JSON array, or null; `p_rows`, the `ctid` of each settled job after its claim; `p_tell`, true to return the settled
 * ids; `p_hold`, the milliseconds for which the queue is held, or 0.
 *
 * Returns rows of three kinds: `s`, the id of a settled job; `c`, a claimed job; `d`, at most one row, whose `due` is the number of
 * milliseconds until the next job is due, or a hold or the period of an exhausted rate ends (null if there is none).
 *
 * - `nq_settle_rows(p_queue, p_settle, p_rows)` settles rows by their `ctid`. Returns the ids of the settled jobs.
 * - `nq_claim_rows(p_queue, p_lease, p_rows)` claims locked rows by their `ctid`.
 *
 *     created, retry ── claim_rows ──> active ── settle_rows ──> completed | failed | cancelled
 *         ^                              └────── settle_rows (`retry`) ──┐
 *         └──────────────────────────────────────────────────────────────┘
 *
 * Invariants: a settlement takes effect only if the job is active and has the `retry_count` of the claim. Rows are first found and
 * locked, by id or in the order of an index, and then updated by `ctid`. Therefore no plan ever scans all jobs of a queue. A settled job is
 * usually still at the `ctid` of its claim, so no search is needed.
 */
export function settleAndClaimFunctions(s: string, channel: string): string {
  return `${settleFunction(s)}

${claimFunction(s)}

${takeTurnFunction(s, channel)}`
}

/** Creates `nq_settle_rows`. Version 9 creates it again, for fair keys. */
export function settleFunction(s: string): string {
  return `
CREATE OR REPLACE FUNCTION ${s}.nq_settle_rows(p_queue text, p_settle text, p_rows tid[])
RETURNS uuid[] LANGUAGE plpgsql ${USE_CTIDS} AS $fn$
DECLARE
  v_ids uuid[];
BEGIN
  WITH settled AS (
    UPDATE ${s}.job j SET
      state = x.s::${s}.job_state,
      completed_on = CASE WHEN x.s <> 'retry' THEN clock_timestamp() END,
      output = CASE WHEN x.s = 'retry' AND x.o IS NULL THEN j.output ELSE x.o END,
      start_after = CASE WHEN x.d IS NULL THEN j.start_after
        WHEN x.o IS NULL AND j.trace_context #> '{nq,u}' IS NOT NULL THEN clock_timestamp()
        ELSE clock_timestamp() + x.d * interval '1 ms' END,
      created_on = CASE WHEN x.d IS NULL THEN j.created_on
        ELSE ${dueOn(`clock_timestamp() - coalesce((j.trace_context #>> '{nq,f}')::double precision, 0) * interval '${FRACTION} ms'
          + CASE WHEN x.o IS NULL AND j.trace_context #> '{nq,u}' IS NOT NULL THEN 0 ELSE x.d END * interval '1 ms'`)} END,
      singleton_key = CASE WHEN x.d IS NULL THEN j.singleton_key ELSE ${DUE_KEY} END,
      heartbeat_seconds = nullif(j.heartbeat_seconds - ${HOLDS_QUEUE}, 0),
      trace_context = CASE WHEN x.p IS NULL THEN j.trace_context ELSE jsonb_set(
        coalesce(j.trace_context, '{}'), '{nq}', coalesce(j.trace_context -> 'nq', '{}') - 'u' || x.p) END
    FROM ROWS FROM (json_to_recordset(p_settle::json) AS (${SETTLED}), unnest(p_rows)) AS x (i, n, s, o, d, p, row)
    WHERE j.ctid = x.row AND j.name = p_queue AND j.id = x.i AND j.state::text = 'active' AND j.retry_count = x.n
    RETURNING j.id
  )
  SELECT array_agg(id) INTO v_ids FROM settled;
  RETURN coalesce(v_ids, '{}');
END $fn$;`
}

/** Creates `nq_take_turn`, which `settleAndClaimFunctions` describes. Versions 9 and 10 create it again, for fair keys and for the limits of queues. */
export function takeTurnFunction(s: string, channel: string): string {
  const notify = `PERFORM pg_notify(${quoteText(channel)}, p_queue)`
  return `
CREATE OR REPLACE FUNCTION ${s}.nq_take_turn(
  p_queue text, p_limit int, p_lease double precision, p_settle text, p_rows tid[], p_tell boolean, p_hold double precision)
RETURNS TABLE (kind text, ${ROW}) LANGUAGE plpgsql ${USE_INDEX_ORDER} AS $fn$
#variable_conflict use_column
DECLARE
  v_now timestamptz;
  v_closed boolean;
  v_fair boolean;
  v_until timestamptz;
  v_due timestamptz;
  v_rows tid[];
  v_settled uuid[];
  v_limited boolean;
  v_limits record;
  v_want int := p_limit;
  v_room int;
BEGIN
  IF p_settle IS NOT NULL THEN
    v_settled := ${s}.nq_settle_rows(p_queue, p_settle, p_rows);
    IF cardinality(v_settled) < cardinality(p_rows) THEN
      SELECT array_agg(l.row) INTO v_rows
      FROM json_to_recordset(p_settle::json) AS x (${SETTLED}) LEFT JOIN LATERAL (
        -- The state is compared as text, so that the planner uses the index on ids and not the one on states.
        SELECT j.ctid AS row FROM ${s}.job j
        WHERE x.i <> ALL (v_settled)
          AND j.name = p_queue AND j.id = x.i AND j.state::text = 'active' AND j.retry_count = x.n LIMIT 1 FOR UPDATE
      ) l ON true;
      v_settled := v_settled || ${s}.nq_settle_rows(p_queue, p_settle, v_rows);
    END IF;
    IF p_tell THEN
      RETURN QUERY SELECT 's', x.id, ${NO_ROW}, NULL::double precision FROM unnest(v_settled) AS x (id);
    END IF;
  END IF;
  IF p_hold > 0 THEN
    INSERT INTO ${s}.nq_queue AS q (name, held_until) VALUES (p_queue, clock_timestamp() + p_hold * interval '1 ms')
    ON CONFLICT ON CONSTRAINT nq_queue_pkey DO UPDATE SET held_until = greatest(q.held_until, excluded.held_until);
  END IF;
  SELECT q.paused, q.held_until, q.fair, coalesce(q.concurrency, q.rate_limit) IS NOT NULL
  INTO v_closed, v_until, v_fair, v_limited FROM ${s}.nq_queue q WHERE q.name = p_queue;
  IF p_limit <= 0 THEN
    -- The settled jobs made room for jobs that any process may claim.
    IF v_limited AND p_settle IS NOT NULL THEN ${notify}; END IF;
    RETURN;
  END IF;
  IF v_closed THEN RETURN; END IF;
  v_now := clock_timestamp();
  IF v_until > v_now THEN
    v_due := v_until;
  ELSE
    IF v_limited THEN
      -- Claims of the queue happen one after the other. A poll that joins an append must not wait, so it comes again.
      SELECT q.concurrency, q.rate_limit, q.rate_period, coalesce(q.rate_until > v_now, false) AS counting,
        CASE WHEN q.rate_until > v_now THEN q.rate_used ELSE 0 END AS used, q.rate_until
      INTO v_limits FROM ${s}.nq_queue q WHERE q.name = p_queue FOR UPDATE SKIP LOCKED;
      IF NOT FOUND THEN
        RETURN QUERY SELECT 'd', NULL::uuid, ${NO_ROW}, 5::double precision;
        RETURN;
      END IF;
      IF v_limits.concurrency IS NOT NULL THEN
        v_room := v_limits.concurrency - (SELECT count(*) FROM ${s}.job j WHERE j.name = p_queue AND j.state = 'active');
      END IF;
      -- A limit that is null does not count.
      v_want := greatest(0, least(p_limit, v_room, v_limits.rate_limit - v_limits.used));
    END IF;
    IF v_fair THEN v_fair := ${s}.nq_fair_admit(p_queue); END IF;
    v_rows := ARRAY(
      SELECT j.ctid FROM ${s}.job j
      WHERE j.name = p_queue AND j.state < 'active' AND NOT j.blocked AND j.start_after <= v_now
      ORDER BY j.priority DESC, j.created_on LIMIT v_want
      FOR UPDATE OF j SKIP LOCKED
    );
    IF cardinality(v_rows) > 0 THEN
      RETURN QUERY SELECT 'c', x.* FROM ${s}.nq_claim_rows(p_queue, p_lease, v_rows) AS x;
    END IF;
    IF v_limited THEN
      v_limits.used := v_limits.used + cardinality(v_rows);
      IF NOT v_limits.counting THEN v_limits.rate_until := v_now + v_limits.rate_period * interval '1 ms'; END IF;
      IF v_limits.rate_limit IS NOT NULL AND cardinality(v_rows) > 0 THEN
        UPDATE ${s}.nq_queue q SET rate_used = v_limits.used, rate_until = v_limits.rate_until WHERE q.name = p_queue;
      END IF;
    END IF;
    -- The settled jobs made room for more jobs than this poll wanted.
    IF p_settle IS NOT NULL AND cardinality(v_rows) = p_limit AND v_room > p_limit THEN ${notify}; END IF;
    IF cardinality(v_rows) >= p_limit THEN RETURN; END IF;
    SELECT min(a.at) INTO v_due FROM (
      (SELECT j.start_after AS at FROM ${s}.job j WHERE j.name = p_queue AND j.state = 'created' AND NOT j.blocked
        AND j.start_after > v_now ORDER BY j.start_after LIMIT 1)
      UNION ALL
      (SELECT j.start_after FROM ${s}.job j WHERE j.name = p_queue AND j.state = 'retry' AND NOT j.blocked
        AND j.start_after > v_now ORDER BY j.start_after LIMIT 1)) a;
    -- Some jobs that are due have no turn yet.
    IF v_fair AND v_want > 0 THEN v_due := least(v_due, v_now + interval '10 ms'); END IF;
    IF v_limited THEN
      IF v_limits.used >= v_limits.rate_limit THEN v_due := least(v_due, v_limits.rate_until); END IF;
    END IF;
  END IF;
  RETURN QUERY SELECT 'd', NULL::uuid, ${NO_ROW}, date_part('epoch', v_due - clock_timestamp()) * 1000;
END $fn$;`
}

/** Creates `nq_claim_rows`. Version 8 creates it again, because the envelope of earlier versions had no headers. */
export function claimFunction(s: string): string {
  return `
CREATE OR REPLACE FUNCTION ${s}.nq_claim_rows(p_queue text, p_lease double precision, p_rows tid[])
RETURNS TABLE (${ROW}) LANGUAGE plpgsql ${USE_CTIDS} AS $fn$
#variable_conflict use_column
BEGIN
  RETURN QUERY UPDATE ${s}.job j SET
    state = 'active', started_on = clock_timestamp(), heartbeat_on = clock_timestamp() + p_lease * interval '1 ms',
    heartbeat_seconds = ${HOLDS_QUEUE} + coalesce(j.heartbeat_seconds, 0) % ${HOLDS_QUEUE},
    retry_count = CASE WHEN j.started_on IS NOT NULL THEN j.retry_count + 1 ELSE j.retry_count END
  FROM unnest(p_rows) AS x (row) WHERE j.ctid = x.row AND j.name = p_queue
  RETURNING j.id, j.ctid::text, j.data::text, ${ENVELOPE}, j.retry_count, j.priority, j.retry_limit,
    j.retry_delay, j.retry_backoff, j.retry_delay_max, date_part('epoch', j.started_on) * 1000,
    date_part('epoch', j.created_on) * 1000, date_part('epoch', j.start_after) * 1000;
END $fn$;`
}
