import type { JobRecord, QueueLimits, Settlement } from '../../../../kernel/index.ts'
import type { ForgottenJob } from './forgotten.ts'

/** The contents of a queue that an earlier process left. */
export interface LeftQueue {
  queue: string
  jobs: JobRecord[]
  forgotten: ForgottenJob[]
  paused: boolean
  /** Absent if it has none. */
  limits?: QueueLimits
}

/** Receives the changes of a queue in order. A durable adapter records them, so that it can rebuild the queue. */
export interface QueueJournal {
  added(queue: string, job: Readonly<JobRecord>): void
  /** Some fields of a job have changed. */
  changed(queue: string, job: Readonly<JobRecord>, fields: readonly (keyof JobRecord)[]): void
  /** Resolves once the claim is recorded. The job starts only then, because it may crash the process. */
  claimed(queue: string, job: Readonly<JobRecord>): Promise<void> | undefined
  /** @param remembered what stays known of the job. It is part of the same record, so that no crash can separate the two */
  removed(queue: string, id: string, remembered?: ForgottenJob): void
  paused(queue: string, paused: boolean): void
  limited(queue: string, limits: QueueLimits): void
}

/** The fields that each settlement changes, for the journal. */
const SETTLED: Readonly<Record<Settlement['type'], readonly (keyof JobRecord)[]>> = {
  completed: ['state', 'finishedAt', 'result'],
  failed: ['state', 'finishedAt', 'attemptsMade', 'error'],
  retry: ['state', 'runAt', 'attemptsMade', 'error'],
  defer: ['state', 'runAt'],
  ended: ['state', 'finishedAt', 'result', 'error'],
  lost: ['state'],
}
const CRASHED = ['state', 'runAt', 'crashes'] as const

/** Returns the fields of a job that a settlement changes. */
export function changedBy(settlement: Settlement): readonly (keyof JobRecord)[] {
  return settlement.type === 'defer' && settlement.crashed ? CRASHED : SETTLED[settlement.type]
}
