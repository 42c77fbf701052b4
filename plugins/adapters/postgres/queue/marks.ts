import type { JobMarks, JobState } from '../../../../kernel/index.ts'

/** SQL expression: how often we have retried the job `j`. */
export const ROUND = `coalesce((j.trace_context #>> '{nq,k}')::int, 0)`
/** SQL expression: how often clients of pg-boss have retried the job `j`, as in `roundOf` of `record.ts`. Their own jobs have no name. */
export const LATER_ROUNDS = `CASE WHEN j.trace_context #> '{nq,n}' IS NULL THEN 0 ELSE greatest(0, j.retry_limit
  - least(2147483647, coalesce((j.trace_context #>> '{nq,o,attempts}')::numeric, 1) - 1)) END`
const CLAIMS = `CASE WHEN j.started_on IS NULL THEN 0 ELSE j.retry_count + 1 END`
const CREATED = `coalesce((j.trace_context #>> '{nq,t}')::float8, floor(extract(epoch FROM j.created_on)::float8 * 1000))`

/** Returns the SQL condition for a job `j` in a state. @param use adds a value, and returns its placeholder */
function stateCondition(state: JobState, use: (value: unknown) => string): string {
  if (state === 'waiting') return `(j.state < 'active' AND j.start_after <= clock_timestamp())`
  if (state === 'delayed') return `(j.state < 'active' AND j.start_after > clock_timestamp())`
  return `j.state::text = ${use(state)}`
}

/** Returns the SQL condition for a job `j` that has these marks. @param use adds a value, and returns its placeholder */
export function hasMarks({ state, round, claims, createdAt }: JobMarks, use: (value: unknown) => string): string {
  return `${stateCondition(state, use)} AND ${ROUND} + ${LATER_ROUNDS} = ${use(round)}::numeric
    AND ${CLAIMS} = ${use(claims)}::numeric AND ${CREATED} = ${use(createdAt)}::float8`
}
