import { quoteText } from '../lib/postgres.ts'
import { USE_INDEXES } from './sql-plans.ts'
import { passFunctions } from './sql-passes.ts'
import { inlineRunFunctions } from './sql-inline-runs.ts'

/** After how many batches a writer deletes the results of earlier ones. */
const SWEEP_EVERY = 256
/** How long the results of a dead writer are kept. After a longer outage, a repeated batch could take effect twice. */
const KEPT_FOR = '7 days'

export function appendFunctions(s: string, channel: string): string {
  return `${inlineRunFunctions(s)}${passFunctions(s)}${appendFunction(s, channel)}`
}

/**
 * `nq_append` appends to many streams in one transaction: first the inline runs, then the passes of all other appends.
 *
 * Arguments:
 *
 * - `p_names` to `p_whole`: the inline runs, one array element per run, or null if there are none. In order: the names of the
 *   streams, the numbers of events, the `unless` keys, the jobs and tokens of the fences, the statuses, the names (titles),
 *   queues, jobs and flows of the runs, and the events as JSON arrays, separated by `SEPARATOR`.
 * - `p_appends`, `p_events`: the first pass as JSON, or null. `APPENDS` and `EVENTS` in `sql-passes.ts` explain the members.
 * - `p_rest`: all further passes, as a JSON array of `{ "appends", "events" }`, or null.
 * - `p_notify`: the payload of the notification.
 * - `p_writer`, `p_batch`: the number of the batch. Each writer counts its batches from 1 and sends them one after the other.
 *
 * Returns the JSON text of a `BatchResult` (see `append.ts`).
 *
 * Invariant: a batch takes effect exactly once. Its result is stored with its events under its number. If the connection of a
 * batch broke, the writer sends the batch again. Whether the first copy is committed, still waits, or arrives later, only one
 * copy takes effect, and both return the same result.
 */
function appendFunction(s: string, channel: string): string {
  return `
CREATE FUNCTION ${s}.nq_append(
  p_names text[], p_heads int[], p_unless text[], p_jobs text[], p_tokens bigint[], p_statuses text[], p_titles text[],
  p_queues text[], p_job_ids text[], p_flows text[], p_whole text, p_appends text, p_events text, p_rest text,
  p_notify text, p_writer uuid, p_batch bigint)
RETURNS text LANGUAGE plpgsql ${USE_INDEXES} AS $fn$
#variable_conflict use_column
DECLARE
  v_known bigint;
  v_answer text;
  v_now bigint := floor(extract(epoch FROM clock_timestamp()) * 1000);
  v_old int[];
  v_met text;
  v_rounds text := '';
  v_round record;
BEGIN
  -- Another copy of this batch may still run on a connection that its writer has abandoned.
  PERFORM pg_advisory_xact_lock(hashtextextended(p_writer::text, 0));
  -- If a later batch is stored, this one is an old copy, and the writer no longer waits for its result.
  SELECT b.batch, b.answer INTO v_known, v_answer FROM ${s}.nq_batch b
  WHERE b.writer = p_writer AND b.batch >= p_batch ORDER BY b.batch LIMIT 1;
  IF v_known IS NOT NULL THEN RETURN v_answer; END IF;
  IF p_names IS NOT NULL THEN
    SELECT w.old, w.answer INTO v_old, v_met FROM ${s}.nq_append_whole(
      v_now, p_names, p_heads, p_unless, p_jobs, p_tokens, p_statuses, p_titles, p_queues, p_job_ids, p_flows, p_whole) AS w;
  END IF;
  IF p_appends IS NOT NULL THEN
    v_rounds := ${s}.nq_append_round(p_appends, p_events);
  END IF;
  IF p_rest IS NOT NULL THEN
    FOR v_round IN SELECT * FROM json_to_recordset(p_rest::json) AS x (appends text, events text) LOOP
      v_rounds := v_rounds || ',' || ${s}.nq_append_round(v_round.appends, v_round.events);
    END LOOP;
  END IF;
  v_answer := '{"ts":' || v_now || coalesce(',"old":[' || array_to_string(v_old, ',') || '],"met":' || v_met, '')
    || ',"rounds":[' || v_rounds || ']}';
  INSERT INTO ${s}.nq_batch (writer, batch, answer) VALUES (p_writer, p_batch, v_answer);
  IF p_batch % ${SWEEP_EVERY} = 0 THEN
    DELETE FROM ${s}.nq_batch b
    WHERE b.writer = p_writer AND b.batch >= p_batch - ${2 * SWEEP_EVERY} AND b.batch < p_batch;
  ELSIF p_batch = 1 THEN
    -- The first batch of a new writer deletes the results of dead writers.
    DELETE FROM ${s}.nq_batch b WHERE (b.writer, b.batch) IN (
      SELECT k.writer, k.batch FROM ${s}.nq_batch k WHERE k.at < now() - interval '${KEPT_FOR}'
      LIMIT 10000 FOR UPDATE SKIP LOCKED);
  END IF;
  PERFORM pg_notify(${quoteText(channel)}, p_notify);
  RETURN v_answer;
END $fn$;`
}
