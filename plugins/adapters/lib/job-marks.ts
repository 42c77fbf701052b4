import { QueueError, type JobMarks, type JobRecord } from '../../../kernel/index.ts'

/** Returns the error for a job to which something has happened. */
export function changedJob(id: string): QueueError {
  return new QueueError(
    'JOB_STATE',
    `Job "${id}" has changed in the meantime. Read the job again to see its current state.`,
  )
}

/** @throws QueueError `JOB_STATE` for a job that is active, or that does not have the marks that the caller expects */
export function checkRemovable(job: Readonly<JobRecord>, expected: JobMarks | undefined): void {
  if (job.state === 'active') throw new QueueError('JOB_STATE', `Job "${job.id}" is active. Cancel it first.`)
  const { state, round, claims, createdAt } = expected ?? job
  const isSame = job.state === state && job.round === round && job.claims === claims && job.createdAt === createdAt
  if (!isSame) throw changedJob(job.id)
}
