import { QueueError } from '../../../kernel/index.ts'

/** Returns the error for a job that somebody else has retried in the meantime. */
export function otherRound(id: string, round: number): QueueError {
  const hint = 'Read it again to see what it is now.'
  return new QueueError('JOB_STATE', `Job "${id}" has been retried ${round} times in the meantime. ${hint}`)
}
