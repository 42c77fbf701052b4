import { QueueError, type JobRecord, type RetryOptions } from '../../../../kernel/index.ts'
import { copyValue } from '../../../lib/value.ts'
import { otherRound } from '../other-round.ts'

/**
 * Returns what a retry changes in a job.
 *
 * @throws QueueError `JOB_STATE`, `VALUE_UNSUPPORTED`, `PAYLOAD_TOO_LARGE`
 */
export function retried(
  { id, state, round }: Readonly<JobRecord>,
  options: RetryOptions,
  payloadLimit: number,
): Partial<JobRecord> {
  if (state !== 'failed' && state !== 'cancelled') {
    throw new QueueError('JOB_STATE', `Job "${id}" is ${state}. Only a failed or cancelled job can be retried.`)
  }
  if (round !== (options.round ?? round)) throw otherRound(id, round)
  return {
    ...{ attemptsMade: 0, crashes: 0, round: round + 1 },
    ...{ error: undefined, finishedAt: undefined, progress: undefined },
    ...('data' in options && { data: copyValue(options.data, payloadLimit, `data of job "${id}"`) }),
  }
}
