import { USE_INDEXES } from './sql-plans.ts'

/** SQL expression: the run of the job `j`, or null if the run is the id of the job. */
export const RUN = `(j.trace_context #>> '{nq,r}')`

/**
 * The indexes and the function for lists and counts of jobs. `nq_counts(p_queue)` returns the number of jobs in each state. It uses
 * index-only scans: pg-boss's index on states for open and failed jobs, and its index on the end for ended jobs. The two indexes
 * created here contain only a few jobs.
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
) LANGUAGE plpgsql STABLE ${USE_INDEXES} SET enable_bitmapscan = off SET max_parallel_workers_per_gather = 0 AS $fn$
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
