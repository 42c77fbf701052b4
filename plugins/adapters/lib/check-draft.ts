import { checkMoment, EXPECTED, invalid, isPriority, type JobDraft } from '../../../kernel/index.ts'

/**
 * Rejects a job that could never be found again or would never become due. Every adapter calls it before it stores a job.
 *
 * @throws QueueError `OPTION_INVALID`
 */
export function checkDraft({ queue, id, name, createdAt, runAt, priority }: JobDraft): void {
  if (typeof id !== 'string' || typeof queue !== 'string' || typeof name !== 'string') {
    throw invalid('The id, queue and name of a job', EXPECTED.text, [id, queue, name])
  }
  checkMoment('The moment at which a job was created', createdAt)
  checkMoment('The moment at which a job is due', runAt)
  if (!isPriority(priority)) throw invalid('The priority of a job', EXPECTED.priority, priority)
}
