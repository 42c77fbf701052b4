import { QueueError } from '../../../kernel/index.ts'

/** @returns a `JOB_FORGOTTEN` for what has ended and is known only by its id */
export function forgotten(what: string): QueueError {
  const hint = 'Its id stays known for "retention.deduplication"; remove the job to free it.'
  return new QueueError('JOB_FORGOTTEN', `${what} has ended and is no longer kept, nor is its result. ${hint}`)
}
