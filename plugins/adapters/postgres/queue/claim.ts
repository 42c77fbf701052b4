import type { JobRecord, QueueEvent } from '../../../../kernel/index.ts'
import { slotJob, type SlotJob } from '../../lib/slots.ts'
import type { JobRow } from './record.ts'

/** Notifies the listeners of an event of a job. */
export type NotifyListeners = (event: QueueEvent, record: JobRecord) => void

/** A job that was just claimed. */
export interface ClaimedRow extends JobRow {
  /** The `ctid` of the row. The column name is part of `nq_take_turn`. */
  at: string
}

/** A job that this process has claimed. `key` is its id in pg-boss. */
export interface ClaimedJob extends SlotJob {
  /** The `ctid` of its row after the claim. */
  readonly ctid: string
  /** The `retry_count` of pg-boss, which identifies the claim. */
  readonly count: number
  readonly row: ClaimedRow
  /** When the job was claimed or its lease was last renewed, by `performance.now()`. */
  since: number
  /** True if the job was settled with the append of its terminal event. */
  stored: boolean
  /** The settlement that was stored then. Absent if the job belonged to another worker. */
  settled: { notify(emit: NotifyListeners): void } | undefined
}

export function claimOf(row: ClaimedRow): ClaimedJob {
  const job = slotJob(row.id)
  const { at: ctid, retry_count: count } = row
  return { ...job, ctid, count, row, since: job.claimedAt, stored: false, settled: undefined }
}
