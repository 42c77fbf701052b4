import { USE_INDEX_ORDER } from './sql-plans.ts'

/**
 * SQL expression: when the job `j` was created, in milliseconds since the epoch. Jobs of pg-boss clients have no envelope. All functions
 * in it are immutable, so that it can be indexed.
 */
export const CREATED_AT = `coalesce((j.trace_context #>> '{nq,t}')::double precision,
  floor(extract(epoch FROM j.created_on - timestamptz '1970-01-01 00:00:00+00')::double precision * 1000))`
const UNQUALIFIED_CREATED_AT = CREATED_AT.replaceAll('j.', '')

/**
 * Condition: whether the job `j` may match the filter of a search. For errors and data, the text only has to occur somewhere. The caller
 * compares them exactly. Data and errors that jsonb cannot hold are text under `$json`.
 */
const HIT = `(p_name IS NULL OR coalesce(j.trace_context #>> '{nq,n}', '') = p_name)
  AND (p_states IS NULL OR j.state::text = ANY (p_states))
  AND (p_due IS NULL OR j.state > 'retry' OR (j.start_after <= v_now) = p_due)
  AND (p_error IS NULL OR position(p_error IN lower(j.output::text COLLATE "C")) > 0 OR jsonb_exists(j.output, '$json'))
  AND (p_path IS NULL OR jsonb_exists(j.data, '$json')
    OR coalesce(j.data #>> (p_path || '$bigint'::text), j.data #>> p_path, 'null') = p_value)`
const FILTER = `p_from double precision, p_name text, p_states text[], p_due boolean, p_error text, p_path text[], p_value text`
/** A part of an index: jobs `q` (queue), `s` (state) before the position `b`, `i`; `k` to return, `m` to examine at most. */
const SOURCE = `n int, q text, s text, b double precision, i uuid, k int, m int`

/**
 * Version 7: the search of jobs, newest first.
 *
 * - The index `nq_job_created` contains all jobs except active jobs, which are few, by queue, state and creation.
 * - The table `nq_job_tag` has one row for each tag of a job.
 * - `nq_find(p_sources, …)` reads parts of the index, and `nq_find_tagged(p_sources, p_tag, …)` parts of the table. Returns the number of the
 * source, the position in it, the creation and the id of each job that may match, and the job. A row without a job is the last examined
 * row, if the source was not read to its end.
 * - `nq_count` and `nq_count_tagged` count in the same way: for each source and state the number of jobs, and whether there may be more.
 * - `nq_enqueue_tagged` stores jobs like `nq_enqueue_once`, and their tags. `nq_untag` removes the tags of a job.
 */
export function searchStatements(s: string): string {
  const find = (from: string): string => `
  RETURN QUERY SELECT x.n, c.pos, c.born, c.id, CASE WHEN c.hit THEN c.job END
  FROM json_to_recordset(p_sources::json) AS x (${SOURCE}) CROSS JOIN LATERAL (
    SELECT d.* FROM (${from}) d WHERE d.hit OR d.pos = x.m LIMIT x.k
  ) c;`
  const count = (from: string): string => `
  RETURN QUERY SELECT x.n, c.state, c.amount, c.more
  FROM json_to_recordset(p_sources::json) AS x (${SOURCE}) CROSS JOIN LATERAL (
    SELECT (d.job).state::text AS state, (count(*) FILTER (WHERE d.hit))::int AS amount, max(d.pos) >= x.m AS more
    FROM (${from}) d WHERE (d.job).id IS NOT NULL GROUP BY 1
  ) c;`
  const byState = `
      SELECT (row_number() OVER ())::int AS pos, ${CREATED_AT} AS born, j.id, ROW(j.*)::${s}.job AS job, (${HIT}) AS hit FROM (
        SELECT * FROM ${s}.job j
        WHERE j.name = x.q AND j.state = x.s::${s}.job_state AND j.state <> 'active'
          AND (${CREATED_AT}, j.id) < (x.b, x.i) AND ${CREATED_AT} >= p_from
        ORDER BY ${CREATED_AT} DESC, j.id DESC LIMIT x.m) j`
  const byTag = `
      SELECT t.pos, t.born, t.id, j.job, coalesce(j.hit, false) AS hit FROM (
        SELECT (row_number() OVER ())::int AS pos, t.* FROM (
          SELECT t.name, t.born, t.id FROM ${s}.nq_job_tag t
          WHERE t.tag = p_tag AND t.name = x.q AND (t.born, t.id) < (x.b, x.i) AND t.born >= p_from
          ORDER BY t.born DESC, t.id DESC LIMIT x.m) t) t
      LEFT JOIN LATERAL (
        SELECT j AS job, (${HIT}) AS hit FROM ${s}.job j WHERE j.name = t.name AND j.id = t.id LIMIT 1) j ON true`
  const body = (query: string): string => `LANGUAGE plpgsql STABLE ${USE_INDEX_ORDER} AS $fn$
#variable_conflict use_column
DECLARE
  v_now timestamptz := clock_timestamp();
BEGIN ${query}
END $fn$;`
  const found = `TABLE (source int, pos int, born double precision, id uuid, job ${s}.job)`
  const counted = `TABLE (source int, state text, amount int, more boolean)`
  return `
CREATE INDEX nq_job_created ON ${s}.job (name, state, (${UNQUALIFIED_CREATED_AT}), id) WHERE state <> 'active';

CREATE TABLE ${s}.nq_job_tag (
  tag text NOT NULL,
  name text NOT NULL,
  born double precision NOT NULL,
  id uuid NOT NULL,
  PRIMARY KEY (tag, name, born, id)
);

CREATE FUNCTION ${s}.nq_find(p_sources text, ${FILTER}) RETURNS ${found} ${body(find(byState))}
CREATE FUNCTION ${s}.nq_find_tagged(p_sources text, p_tag text, ${FILTER}) RETURNS ${found} ${body(find(byTag))}
CREATE FUNCTION ${s}.nq_count(p_sources text, ${FILTER}) RETURNS ${counted} ${body(count(byState))}
CREATE FUNCTION ${s}.nq_count_tagged(p_sources text, p_tag text, ${FILTER}) RETURNS ${counted} ${body(count(byTag))}

CREATE FUNCTION ${s}.nq_enqueue_tagged(
  p_jobs text, p_data text, p_count int, p_notify text[], p_queues text[], p_ids uuid[], p_tags text
) RETURNS TABLE (queue text, id uuid, run text) LANGUAGE plpgsql ${USE_INDEX_ORDER} AS $fn$
#variable_conflict use_column
BEGIN
  RETURN QUERY SELECT r.queue, r.id, r.run FROM ${s}.nq_enqueue_once(p_jobs, p_data, p_count, p_notify, p_queues, p_ids) r;
  -- A known id keeps the tags of its job.
  INSERT INTO ${s}.nq_job_tag (tag, name, born, id)
  SELECT x.tag, j.name, ${CREATED_AT}, j.id FROM json_to_recordset(p_tags::json) AS x (q text, i uuid, tag text)
  JOIN ${s}.job j ON j.name = x.q AND j.id = x.i AND jsonb_exists(j.trace_context #> '{nq,tags}', x.tag)
  ON CONFLICT DO NOTHING;
END $fn$;

CREATE FUNCTION ${s}.nq_untag(p_job ${s}.job) RETURNS boolean LANGUAGE plpgsql ${USE_INDEX_ORDER} AS $fn$
DECLARE
  j ${s}.job := p_job;
BEGIN
  DELETE FROM ${s}.nq_job_tag t USING jsonb_array_elements_text(j.trace_context #> '{nq,tags}') AS x (tag)
  WHERE t.tag = x.tag AND t.name = j.name AND t.born = ${CREATED_AT} AND t.id = j.id;
  RETURN true;
END $fn$;`
}
