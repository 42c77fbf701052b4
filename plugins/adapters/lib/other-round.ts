import { QueueError } from '../../../kernel/index.ts'

/** Returns the error for a job that another caller has retried in the meantime. */
export function otherRound(id: string, round: number): QueueError {
  const hint = 'Read the job again to see its current state.'
  return new QueueError('JOB_STATE', `Job "${id}" has been retried ${round} times in the meantime. ${hint}`)
}
