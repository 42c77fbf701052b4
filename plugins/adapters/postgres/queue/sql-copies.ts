import { NO_TURN, WITHOUT_TURN } from './sql-fair-keys.ts'
import { FRACTION } from './sql-jobs.ts'
import { CREATED_AT } from './sql-search.ts'

/** A moment in milliseconds as a timestamp. The fraction keeps the millisecond when it is read again. */
const at = (column: string): string => `to_timestamp((${column} + 0.25) / 1000)`

/**
 * Returns the statement that stores jobs that were copied from another store, in their states. A job whose id is known is not stored. Its
 * arguments are JSON arrays: the jobs, their payloads, and their outputs. A job has the members of `enqueueFunction`, and:
 *
 * | member | meaning |
 * |---|---|
 * | `st` | the state in pg-boss |
 * | `rc` | the retry count, which is the number of claims minus one |
 * | `du` | the moment from which the job may run |
 * | `sa`, `fa` | when it was last claimed, and when it ended; absent if it never was |
 */
export function copyJobsStatement(s: string): string {
  const fair = `(x.s IS NOT NULL AND x.s = '${NO_TURN}')`
  return `WITH x AS MATERIALIZED (
    SELECT x.*, ${at('x.du')} AS due FROM ROWS FROM (
      json_to_recordset($1::text::json) AS (
        n int, q text, i uuid, p int, f double precision, e jsonb, rl int, rd int, rb boolean, rx int, s text,
        st text, rc int, du double precision, sa double precision, fa double precision),
      json_array_elements($2::text::json), json_array_elements($3::text::json)
    ) AS x (n, q, i, p, f, e, rl, rd, rb, rx, s, st, rc, du, sa, fa, d, o)
  ), j AS (
    INSERT INTO ${s}.job (
      id, name, priority, data, retry_limit, retry_delay, retry_backoff, retry_delay_max, expire_seconds, deletion_seconds,
      start_after, created_on, keep_until, policy, singleton_key, trace_context, state, retry_count, started_on, completed_on, output)
    SELECT x.i, x.q, x.p, nullif(x.d::text, 'null')::jsonb, x.rl, x.rd, x.rb, x.rx, 86400, 0, x.due,
      x.due + (x.n * 0.001 - coalesce(x.f, 0) * ${FRACTION}) * interval '1 ms'
        + CASE WHEN ${fair} THEN ${WITHOUT_TURN} ELSE interval '0' END,
      'infinity', 'standard', x.s, x.e, x.st::${s}.job_state, x.rc, ${at('x.sa')}, ${at('x.fa')}, nullif(x.o::text, 'null')::jsonb
    FROM x WHERE NOT EXISTS (
      SELECT FROM ${s}.nq_forgotten f WHERE f.name = x.q AND f.id = x.i AND f.until > clock_timestamp())
    ON CONFLICT DO NOTHING RETURNING name, id, created_on, trace_context
  )
  INSERT INTO ${s}.nq_job_tag (tag, name, born, id)
  SELECT x.tag, j.name, ${CREATED_AT}, j.id FROM j, jsonb_array_elements_text(j.trace_context #> '{nq,tags}') AS x (tag)
  ON CONFLICT DO NOTHING`
}

/** The statement that remembers ids of removed jobs: `q` queue, `i` id, `r` run, `u` the moment until which it is remembered. */
export const REMEMBER_IDS = (s: string): string => `INSERT INTO ${s}.nq_forgotten AS f (name, id, run, until)
  SELECT x.q, x.i, x.r, ${at('x.u')} FROM json_to_recordset($1::text::json) AS x (q text, i uuid, r text, u double precision)
  WHERE NOT EXISTS (SELECT FROM ${s}.job j WHERE j.name = x.q AND j.id = x.i)
  ON CONFLICT (name, id) DO UPDATE SET until = greatest(f.until, excluded.until)`
