import type { Diagnosis } from '../../../../kernel/index.ts'
import { quoteName, type PostgresPort } from '../lib/postgres.ts'

/** The maximum number of events that a stream that is not a run has in normal operation. */
const MAX_EVENTS = 25_000

/** Finds streams of plugins and applications that grow without limit. Runs are not checked, because they end and then expire. */
export async function diagnoseStreams({ query, schema }: PostgresPort): Promise<Diagnosis[]> {
  const largest = `SELECT name, head - trimmed AS kept FROM ${quoteName(schema)}.nq_stream
    WHERE status IS NULL AND head - trimmed > $1 ORDER BY head - trimmed DESC LIMIT 3`
  const rows = await query<{ name: string; kept: number }>(largest, [MAX_EVENTS], { repeatable: true })
  return rows.map(({ name, kept }) => {
    const message = `Stream "${name}" keeps ${kept} events.`
    const hint = 'Remove streams that are not needed with the method forget of the port "events".'
    return { check: 'events.streams', level: 'warning', message, hint }
  })
}
