import { quoteText } from '../lib/postgres.ts'
import { USE_INDEXES } from './sql-plans.ts'
import { SEPARATOR } from './inline-runs.ts'

/**
 * The members of an event in JSON, as it is sent, and as an inline run stores it: `y` type, `k` key, `f` flow, `s` step, `d` step
 * id, `a` attempt, `v` data as JSON text. The letters are part of the stored format.
 */
export const EVENT_FIELDS = 'y text, k text, f text, s text, d text, a int, v text'

/**
 * The tables of version 4: inline runs.
 *
 * A run that begins and ends in one append is stored inline: the row of its stream contains its events as JSON, in the column
 * `events`. This applies to nearly all plain jobs under load. It saves three rows and nine index entries, which would have to be
 * written and deleted. Before anything else changes the stream, `nq_unfold` turns the events into rows of `nq_event_row` with the
 * same positions.
 *
 * Invariant: a stream has its events either in the column `events` or in `nq_event_row`, never in both.
 *
 * The view `nq_event` contains all events, for queries of users.
 */
export function inlineRunTables(s: string): string {
  // The tables are locked in the order in which appends lock them, because instances of the release before append meanwhile.
  return `
LOCK TABLE ${s}.nq_stream, ${s}.nq_event IN ACCESS EXCLUSIVE MODE;
ALTER TABLE ${s}.nq_event RENAME TO nq_event_row;
ALTER TABLE ${s}.nq_stream ADD COLUMN events text;
CREATE INDEX nq_stream_whole ON ${s}.nq_stream (xid, id) WHERE events IS NOT NULL;
CREATE VIEW ${s}.nq_event AS
  SELECT stream, seq, ts, xid, type, key, flow, step, step_id, attempt, data FROM ${s}.nq_event_row
  UNION ALL
  SELECT t.id, e.seq::int, t.ts, t.xid, e.y, e.k, e.f, e.s, e.d, e.a, e.v
  FROM ${s}.nq_stream t, ${inlineEvents('t')} WHERE t.events IS NOT NULL;
-- Instances of the release before use the name nq_event for the table.
CREATE RULE nq_event_insert AS ON INSERT TO ${s}.nq_event DO INSTEAD INSERT INTO ${s}.nq_event_row VALUES (NEW.*);
CREATE RULE nq_event_delete AS ON DELETE TO ${s}.nq_event DO INSTEAD
  DELETE FROM ${s}.nq_event_row r WHERE r.stream = OLD.stream AND r.seq = OLD.seq;
`
}

/** Returns a table expression `e` with the inline events of a stream: the columns of `EVENT_FIELDS`, and `seq`. */
export function inlineEvents(stream: string): string {
  return `ROWS FROM (json_to_recordset(${stream}.events::json) AS (${EVENT_FIELDS})) WITH ORDINALITY AS e (y, k, f, s, d, a, v, seq)`
}

/**
 * `nq_append_whole` stores inline runs. Its arguments are the time in milliseconds and the arrays of `nq_append`, one element per
 * run. Runs whose stream already exists are appended in a pass instead.
 *
 * Returns `old`, the indexes of these runs, starting at 1, and `answer`, the result of their pass. Both are null if no stream
 * existed. The column aliases of the arrays are those of `APPENDS` in `sql-passes.ts`; `e` is the JSON text of the events.
 *
 * `nq_unfold(p_names)` locks the rows of streams in the order of their names, and turns inline events into rows.
 */
export function inlineRunFunctions(s: string): string {
  return `
CREATE FUNCTION ${s}.nq_append_whole(
  p_now bigint, p_names text[], p_heads int[], p_unless text[], p_jobs text[], p_tokens bigint[], p_statuses text[],
  p_titles text[], p_queues text[], p_job_ids text[], p_flows text[], p_events text,
  OUT old int[], OUT answer text)
LANGUAGE plpgsql ${USE_INDEXES} AS $fn$
DECLARE
  v_xid xid8 := pg_current_xact_id();
  v_events text[] := string_to_array(p_events, ${quoteText(SEPARATOR)});
  v_count int;
BEGIN
  INSERT INTO ${s}.nq_stream (
    name, head, ts, xid, fence_job, fence_token, status, run_name, queue, job_id, flow, started, updated, ended, events
  )
  SELECT x.s, x.n, p_now, v_xid, x.j, x.t, x.rs, coalesce(x.rn, ''), x.rq, x.rj, x.rf, p_now, p_now, p_now, x.e
  FROM unnest(p_names, p_heads, p_jobs, p_tokens, p_statuses, p_titles, p_queues, p_job_ids, p_flows, v_events)
    AS x (s, n, j, t, rs, rn, rq, rj, rf, e)
  ORDER BY x.s COLLATE "C"
  ON CONFLICT (name) DO NOTHING;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  IF v_count = cardinality(p_names) THEN RETURN; END IF;
  old := ARRAY(
    SELECT x.place::int FROM unnest(p_names) WITH ORDINALITY AS x (name, place) WHERE NOT EXISTS (
      SELECT FROM ${s}.nq_stream t WHERE t.name = x.name AND t.xid = v_xid AND t.events IS NOT NULL)
    ORDER BY x.place);
  answer := ${s}.nq_append_round(
    (SELECT json_agg(json_build_object(
      'i', x.i - 1, 's', p_names[x.n], 'n', p_heads[x.n], 'u', p_unless[x.n], 'j', p_jobs[x.n], 't', p_tokens[x.n],
      'p', true, 'rs', p_statuses[x.n], 'rn', p_titles[x.n], 'rq', p_queues[x.n], 'rj', p_job_ids[x.n], 'rf', p_flows[x.n]
    ) ORDER BY x.i)::text FROM unnest(old) WITH ORDINALITY AS x (n, i)),
    (SELECT '[' || string_agg('{"i":' || x.i - 1 || ',"o":' || e.o - 1 || ',' || substr(e.event::text, 2), ',') || ']'
      FROM unnest(old) WITH ORDINALITY AS x (n, i), json_array_elements(v_events[x.n]::json) WITH ORDINALITY AS e (event, o)));
END $fn$;

CREATE FUNCTION ${s}.nq_unfold(p_names text[])
RETURNS void LANGUAGE plpgsql ${USE_INDEXES} AS $fn$
DECLARE
  v_folded boolean;
BEGIN
  SELECT bool_or(x.folded) INTO v_folded FROM (
    SELECT t.events IS NOT NULL AS folded FROM ${s}.nq_stream t WHERE t.name = ANY (p_names) ORDER BY t.name FOR UPDATE
  ) x;
  IF NOT coalesce(v_folded, false) THEN RETURN; END IF;
  INSERT INTO ${s}.nq_event_row (stream, seq, ts, xid, type, key, flow, step, step_id, attempt, data)
  SELECT t.id, e.seq, t.ts, t.xid, e.y, e.k, e.f, e.s, e.d, e.a, e.v
  FROM ${s}.nq_stream t, ${inlineEvents('t')} WHERE t.name = ANY (p_names) AND t.events IS NOT NULL;
  UPDATE ${s}.nq_stream t SET events = NULL WHERE t.name = ANY (p_names) AND t.events IS NOT NULL;
END $fn$;
`
}
