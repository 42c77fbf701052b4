import { decodeQueue, jobUuid } from './names.ts'
import { RUN } from './sql-lists.ts'

/**
 * Returns the condition for the jobs of a run. It uses two indexes: one for jobs that store another run, and one for the job
 * whose id is the run.
 *
 * @param names the queues, by their names in pg-boss
 * @param use adds a value to the statement, and returns its placeholder
 */
export function jobsOfRun(s: string, runId: string, names: readonly string[], use: (value: unknown) => string): string {
  const ids = names.map((name) => jobUuid(decodeQueue(name), runId))
  return `(j.name, j.id) IN (
      SELECT j.name, j.id FROM ${s}.job j WHERE ${RUN} = ${use(runId)}
      UNION ALL
      SELECT j.name, j.id FROM unnest(${use(names)}::text[], ${use(ids)}::uuid[]) AS q (name, id)
      JOIN ${s}.job j ON j.name = q.name AND j.id = q.id WHERE ${RUN} IS NULL)`
}
