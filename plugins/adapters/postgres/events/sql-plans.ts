/** Plans that were made while a table was small must serve it when it is large. */
export const BY_INDEX = `SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off SET enable_mergejoin = off`
/** For rows that are locked: written where they lie, whatever the planner thinks of the table. */
export const BY_ADDRESS = `${BY_INDEX} SET enable_hashjoin = off SET enable_indexscan = off SET enable_indexonlyscan = off
SET enable_bitmapscan = off`
