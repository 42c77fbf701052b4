/** Settings of functions that look up rows by index. A plan that was made while a table was small must stay good when it is large. */
export const USE_INDEXES = `SET plan_cache_mode = force_generic_plan SET jit = off SET enable_seqscan = off`
/** Settings of functions that read rows in the order of an index, without sorting. */
export const USE_INDEX_ORDER = `${USE_INDEXES} SET enable_sort = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off`
/** Settings of functions that update locked rows by their `ctid`, without any index. */
export const USE_CTIDS = `${USE_INDEX_ORDER} SET enable_indexscan = off SET enable_indexonlyscan = off`
