import { checkComposed, invalid, type JobRef } from '../../../kernel/index.ts'

/**
 * Returns the queue and the id of a job. @throws QueueError `OPTION_INVALID` for a value that does not identify a job, such as an id alone
 */
export function checkRef(ref: JobRef): JobRef {
  if (typeof ref !== 'object' || ref === null)
    throw invalid('A job', '{ queue, id }, or the return value of enqueue', ref)
  return { queue: checkComposed('The queue of a job', ref.queue), id: checkComposed('The id of a job', ref.id) }
}
