import { USE_INDEX_ORDER } from './sql-plans.ts'

/**
 * The table `nq_forgotten` remembers the chosen ids of removed jobs. Columns: the queue (`name`), the id of the job in pg-boss, its
 * run, and the moment until which the id is remembered.
 *
 * `nq_enqueue_once` stores jobs like `nq_enqueue`. Its further arguments `p_queues` and `p_ids` are the jobs whose ids callers
 * chose. If one of these ids is remembered, the function stores nothing, and returns the remembered ids with their runs.
 * Otherwise it returns the rows of `nq_enqueue`, with `run` null.
 *
 * Invariant: a job is never stored while its id is remembered. If another transaction removes a job with that id meanwhile, the
 * function raises a serialization failure, and the caller repeats it.
 */
export function forgottenStatements(s: string): string {
  return `
CREATE TABLE ${s}.nq_forgotten (
  name text NOT NULL,
  id uuid NOT NULL,
  run text NOT NULL,
  until timestamptz NOT NULL,
  PRIMARY KEY (name, id)
);
CREATE INDEX nq_forgotten_until ON ${s}.nq_forgotten (until);

CREATE FUNCTION ${s}.nq_enqueue_once(
  p_jobs text, p_data text, p_count int, p_notify text[], p_queues text[], p_ids uuid[]
) RETURNS TABLE (queue text, id uuid, run text) LANGUAGE plpgsql ${USE_INDEX_ORDER} AS $fn$
#variable_conflict use_column
BEGIN
  -- Usually, no id is remembered.
  IF EXISTS (SELECT FROM ${s}.nq_forgotten f WHERE f.until > clock_timestamp()) THEN
    RETURN QUERY SELECT f.name, f.id, f.run FROM unnest(p_queues, p_ids) AS x (q, i)
      JOIN ${s}.nq_forgotten f ON f.name = x.q AND f.id = x.i WHERE f.until > clock_timestamp();
    IF FOUND THEN RETURN; END IF;
  END IF;
  RETURN QUERY SELECT r.queue, r.id, NULL::text FROM ${s}.nq_enqueue(p_jobs, p_data, p_count, p_notify) r;
  -- A job with this id may have been removed while this transaction waited for its row. The caller then repeats the statement.
  IF EXISTS (SELECT FROM ${s}.nq_forgotten f WHERE f.until > clock_timestamp()) THEN
    PERFORM FROM unnest(p_queues, p_ids) AS x (q, i)
      JOIN ${s}.nq_forgotten f ON f.name = x.q AND f.id = x.i WHERE f.until > clock_timestamp();
    IF FOUND THEN
      RAISE EXCEPTION 'A job with this id has just been removed.' USING ERRCODE = 'serialization_failure';
    END IF;
  END IF;
END $fn$;`
}

/** SQL condition: true if a caller chose the id of the job `j`. It corresponds to `hasGivenId` of a draft. */
export const GIVEN_ID = `(j.trace_context #>> '{nq,r}' IS NOT NULL
  AND (j.trace_context #> '{nq,l}' IS NULL OR j.trace_context #>> '{nq,l,named}' = 'true'))`
