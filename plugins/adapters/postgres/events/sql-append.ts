import { quoteText } from '../lib/postgres.ts'
import { BY_INDEX } from './sql-plans.ts'
import { roundFunctions } from './sql-round.ts'
import { wholeFunctions } from './sql-whole.ts'

/** After how many batches a writer forgets those before. */
const SWEEP_EVERY = 256
/** How long what a dead writer left stays: an outage that is longer could make a batch take effect twice. */
const KEPT_FOR = '7 days'

export function appendFunctions(s: string, channel: string): string {
  return `${wholeFunctions(s)}${roundFunctions(s)}${appendFunction(s, channel)}`
}

/**
 * Appends to many streams in one commit: runs that are whole, then rounds of the others.
 *
 * The answer is a JSON text: the time, the places of whole runs whose stream was there, and what each
 * round answers. It is stored with the events under the number that the writer gave its batch, so that
 * a batch whose connection broke can be sent again: whether the first copy has been stored, waits for
 * its commit, or is still to arrive, one of them takes effect and both are answered the same.
 */
function appendFunction(s: string, channel: string): string {
  return `
CREATE FUNCTION ${s}.nq_append(
  p_names text[], p_heads int[], p_unless text[], p_jobs text[], p_tokens bigint[], p_statuses text[], p_titles text[],
  p_queues text[], p_job_ids text[], p_flows text[], p_whole text, p_appends text, p_events text, p_rest text,
  p_notify text, p_writer uuid, p_batch bigint)
RETURNS text LANGUAGE plpgsql ${BY_INDEX} AS $fn$
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
  -- A copy of this batch may be under way on a connection that its writer has given up.
  PERFORM pg_advisory_xact_lock(hashtextextended(p_writer::text, 0));
  -- Behind a later batch this one is a copy that nobody waits for.
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
    -- Each process that starts clears up after those that are gone.
    DELETE FROM ${s}.nq_batch b WHERE (b.writer, b.batch) IN (
      SELECT k.writer, k.batch FROM ${s}.nq_batch k WHERE k.at < now() - interval '${KEPT_FOR}'
      LIMIT 10000 FOR UPDATE SKIP LOCKED);
  END IF;
  PERFORM pg_notify(${quoteText(channel)}, p_notify);
  RETURN v_answer;
END $fn$;`
}
