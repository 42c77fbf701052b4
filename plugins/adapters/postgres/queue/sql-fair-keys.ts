/** The first turn. `created_on` of a waiting job with a fair key is its turn, counted from this moment. */
export const FIRST_TURN = `timestamptz '2300-01-01 00:00:00+00'`
/** How far `created_on` of a job that has no turn yet is ahead of the moment at which it is due. */
export const WITHOUT_TURN = `interval '7000 years'`
/** The `singleton_key` of a job that has no turn yet. */
export const NO_TURN = 'nq:due'
/** SQL condition: whether the job `j` has a fair key. */
export const IS_FAIR = `starts_with(j.singleton_key, 'nq:')`
/** SQL expression: where a job goes that becomes due at the moment `due`: behind all jobs that have a turn. */
export const dueOn = (due: string): string => `${due} + CASE WHEN ${IS_FAIR} THEN ${WITHOUT_TURN} ELSE interval '0' END`
/** SQL expression: the `singleton_key` of the job `j` when it becomes due again. */
export const DUE_KEY = `CASE WHEN ${IS_FAIR} THEN '${NO_TURN}' ELSE j.singleton_key END`
