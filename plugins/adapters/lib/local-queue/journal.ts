import type { JobRecord, Settlement } from '../../../../kernel/index.ts'
import type { ForgottenJob } from './forgotten.ts'

/** What a durable adapter notes: enough to build the queue again, in the order in which it happened. */
export interface QueueJournal {
  added(queue: string, job: Readonly<JobRecord>): void
  /** Some fields of a job have changed. */
  changed(queue: string, job: Readonly<JobRecord>, fields: readonly (keyof JobRecord)[]): void
  /** A job is handed out once this has been noted, since it may take the process down. */
  claimed(queue: string, job: Readonly<JobRecord>): Promise<void> | undefined
  /** @param known what stays known of the job: one line, so that no crash comes between */
  removed(queue: string, id: string, known?: ForgottenJob): void
  paused(queue: string, paused: boolean): void
}

/** What settling a job changes, for the journal. */
const SETTLED: Readonly<Record<Settlement['type'], readonly (keyof JobRecord)[]>> = {
  completed: ['state', 'finishedAt', 'result'],
  failed: ['state', 'finishedAt', 'attemptsMade', 'error'],
  retry: ['state', 'runAt', 'attemptsMade', 'error'],
  defer: ['state', 'runAt'],
  ended: ['state', 'finishedAt', 'result', 'error'],
  lost: ['state'],
}
const GIVEN_BACK = ['state', 'runAt', 'crashes'] as const

/** The fields of a job that its settlement changes. */
export function changedBy(settlement: Settlement): readonly (keyof JobRecord)[] {
  return settlement.type === 'defer' && settlement.crashed ? GIVEN_BACK : SETTLED[settlement.type]
}
