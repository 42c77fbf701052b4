import { QueueError } from '../../../kernel/index.ts'

/** Returns the error `JOB_FORGOTTEN` for a job or run that has ended and was removed, so that only its id is known. */
export function forgotten(what: string): QueueError {
  const hint = 'Its id stays reserved for "retention.deduplication" ms. Remove the job to free the id.'
  return new QueueError('JOB_FORGOTTEN', `${what} has ended, and its result is no longer kept. ${hint}`)
}
