import { IN_ORDER } from './sql-plans.ts'

/**
 * Jobs that were forgotten and whose ids, given by callers, are still known. `nq_enqueue_once` stores jobs like
 * `nq_enqueue`, some of which have such ids: `p_queues` and `p_ids`. Where one of them is known it stores nothing at all,
 * and returns which those are, with their runs.
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
) RETURNS TABLE (queue text, id uuid, run text) LANGUAGE plpgsql ${IN_ORDER} AS $fn$
#variable_conflict use_column
BEGIN
  -- Most of the time none is known.
  IF EXISTS (SELECT FROM ${s}.nq_forgotten f WHERE f.until > clock_timestamp()) THEN
    RETURN QUERY SELECT f.name, f.id, f.run FROM unnest(p_queues, p_ids) AS x (q, i)
      JOIN ${s}.nq_forgotten f ON f.name = x.q AND f.id = x.i WHERE f.until > clock_timestamp();
    IF FOUND THEN RETURN; END IF;
  END IF;
  RETURN QUERY SELECT r.queue, r.id, NULL::text FROM ${s}.nq_enqueue(p_jobs, p_data, p_count, p_notify) r;
  -- A job of that id may have been forgotten while this one waited for its row: then all of this is done again.
  IF EXISTS (SELECT FROM ${s}.nq_forgotten f WHERE f.until > clock_timestamp()) THEN
    PERFORM FROM unnest(p_queues, p_ids) AS x (q, i)
      JOIN ${s}.nq_forgotten f ON f.name = x.q AND f.id = x.i WHERE f.until > clock_timestamp();
    IF FOUND THEN
      RAISE EXCEPTION 'A job of this id has just been forgotten.' USING ERRCODE = 'serialization_failure';
    END IF;
  END IF;
END $fn$;`
}

/** Whether a caller gave the id of a job, as `hasGivenId` tells it of a draft. */
export const GIVEN_ID = `(j.trace_context #>> '{nq,r}' IS NOT NULL
  AND (j.trace_context #> '{nq,l}' IS NULL OR j.trace_context #>> '{nq,l,named}' = 'true'))`
