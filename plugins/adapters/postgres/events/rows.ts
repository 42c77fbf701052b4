import type { RunInfo, StoredEvent } from '../../../../kernel/index.ts'
import { decodeJson } from '../../../lib/json.ts'
import { inlineEvents } from './sql-inline-runs.ts'

export interface EventRow {
  seq: number
  ts: string
  type: string
  key: string | null
  flow: string | null
  step: string | null
  step_id: string | null
  attempt: number | null
  data: string | null
}

/** The columns of `EventRow`, for an event with the alias `e`. */
export const EVENT_COLUMNS = 'e.seq, e.ts, e.type, e.key, e.flow, e.step, e.step_id, e.attempt, e.data'

/**
 * Returns a table expression `e` with the matching events of a stream with the alias `t`. A stream has its events either in
 * `nq_event_row` or inline in its own row, never both. Each part is therefore ordered and limited on its own, so that
 * PostgreSQL can use an index.
 */
export function eventsOf(s: string, where: string, order = ''): string {
  return `(
    (SELECT ${EVENT_COLUMNS} FROM ${s}.nq_event_row e WHERE e.stream = t.id AND ${where} ${order})
    UNION ALL
    (SELECT ${EVENT_COLUMNS} FROM (
      SELECT e.seq::int, t.ts, e.y AS type, e.k AS key, e.f AS flow, e.s AS step, e.d AS step_id, e.a AS attempt, e.v AS data
      FROM ${inlineEvents('t')}) e WHERE ${where} ${order})) e`
}

export function eventOf(runId: string, row: EventRow): StoredEvent {
  const { seq, ts, type, key, flow, step, step_id, attempt, data } = row
  return {
    seq,
    id: `${runId}:${seq}`,
    ts: Number(ts),
    type,
    runId,
    flow: flow ?? undefined,
    step: step ?? undefined,
    stepId: step_id ?? undefined,
    attempt: attempt ?? undefined,
    data: data === null ? undefined : decodeJson(data),
    key: key ?? undefined,
  }
}

export interface RunRow {
  name: string
  status: RunInfo['status']
  run_name: string
  queue: string | null
  job_id: string | null
  flow: string | null
  tags: string[] | null
  started: string
  updated: string
  ended: string | null
  head: number
}

export const RUN_COLUMNS = 'name, status, run_name, queue, job_id, flow, tags, started, updated, ended, head'

export function runInfoOf(row: RunRow): RunInfo {
  return {
    runId: row.name,
    status: row.status,
    name: row.run_name,
    queue: row.queue ?? undefined,
    jobId: row.job_id ?? undefined,
    flow: row.flow ?? undefined,
    tags: row.tags ?? undefined,
    startedAt: Number(row.started),
    updatedAt: Number(row.updated),
    endedAt: row.ended === null ? undefined : Number(row.ended),
    head: row.head,
  }
}
