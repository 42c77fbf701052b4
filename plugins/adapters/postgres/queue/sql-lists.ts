import { BY_INDEX } from './sql-plans.ts'

/** The run of a job where that is not its own id, as for steps of flows and jobs with an id that a caller gave. */
export const RUN = `(j.trace_context #>> '{nq,r}')`

/**
 * What lists and counts of jobs need. Counts come from indexes alone: what is open and what failed from the one that
 * pg-boss has on states, what has ended from the one on moments. Both indexes made here hold few of the jobs.
 */
export function listStatements(s: string): string {
  const count = (where: string): string => `(SELECT count(*) FROM ${s}.job j WHERE j.name = p_queue AND ${where})::int`
  const due = (what: string): string =>
    ['created', 'retry'].map((state) => count(`j.state = '${state}' AND j.start_after ${what} v_now`)).join(' + ')
  return `
CREATE INDEX nq_job_run ON ${s}.job (${RUN.replaceAll('j.', '')}) WHERE ${RUN.replaceAll('j.', '')} IS NOT NULL;
CREATE INDEX nq_job_cancelled ON ${s}.job (name) WHERE state = 'cancelled';

CREATE FUNCTION ${s}.nq_counts(
  p_queue text, OUT waiting int, OUT delayed int, OUT active int, OUT completed int, OUT failed int, OUT cancelled int
) LANGUAGE plpgsql STABLE ${BY_INDEX} SET enable_bitmapscan = off SET max_parallel_workers_per_gather = 0 AS $fn$
DECLARE
  v_now timestamptz := clock_timestamp();
BEGIN
  waiting := ${due('<=')};
  delayed := ${due('>')};
  active := ${count(`j.state = 'active'`)};
  failed := ${count(`j.state = 'failed'`)};
  cancelled := ${count(`j.state = 'cancelled'`)};
  completed := greatest(0, ${count('j.completed_on IS NOT NULL')} - failed - cancelled);
END $fn$;`
}
