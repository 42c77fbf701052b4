import { isQueueError, QueueError, type JobRecord, type PluginKernel } from '../../../kernel/index.ts'
import type { BulkAction, BulkRequest, SelectedJob } from './report.ts'

/** The outcome for a job: the action is done, or the reason why it does not apply to the job. */
type Outcome = 'done' | QueueError

/**
 * @param job the selected job
 * @param record the current record of the job
 */
type Act = (job: SelectedJob, record: JobRecord) => Promise<Outcome>

/** Codes for which a job is skipped, because it has changed since it was selected. */
export const SKIPS: ReadonlySet<string> = new Set(['JOB_STATE', 'JOB_NOT_FOUND', 'JOB_FORGOTTEN'])

/** Returns a function that acts on one job. It never acts twice on a job, however often a worker dies and repeats it. */
export function createActor(kernel: PluginKernel, { action, reason }: BulkRequest) {
  const queues = () => kernel.port('queue')

  const ACTIONS: Readonly<Record<BulkAction, Act>> = {
    async retry({ queue, id, round }, { flow }) {
      if (flow) return refused(id, `is a step of a run. Start the flow "${flow.name}" again`)
      // The store compares the round, so that two workers cannot both retry the job.
      await queues().retry(queue, id, { round })
      return 'done'
    },
    async cancel({ id }, record) {
      const done = await kernel.cancel(record, reason === undefined ? {} : { reason })
      return done ? 'done' : refused(id, 'had ended')
    },
    async remove({ queue, id, state, round, claims, createdAt }) {
      // A page of an earlier release has no states.
      const expected = state && { state, round, claims, createdAt }
      return (await queues().remove(queue, id, expected)) ? 'done' : missing(queue, id)
    },
    async promote({ queue, id }) {
      return (await queues().promote(queue, id)) ? 'done' : refused(id, 'is not delayed')
    },
    async redrive({ id }, record) {
      return (await kernel.redriveLetter(record)) ? 'done' : refused(id, 'is not a dead letter that can be moved')
    },
  }
  /** Whether the action removes the job from its queue. */
  const removes = action === 'remove' || action === 'redrive'
  const act = ACTIONS[action]

  /** Whether an earlier claim has acted on the job. These numbers of a job change with each action. */
  function hasActed({ round, claims, createdAt }: SelectedJob, record: JobRecord | undefined): boolean {
    if (!record) return removes
    if (removes) return record.createdAt !== createdAt
    if (record.round !== round) return true
    if (action === 'cancel') return record.state === 'cancelled'
    return action === 'promote' && (record.claims !== claims || record.state !== 'delayed')
  }

  async function attempt(job: SelectedJob, record: JobRecord | undefined): Promise<Outcome> {
    if (!record) return missing(job.queue, job.id)
    try {
      return await act(job, record)
    } catch (error) {
      if (isQueueError(error) && SKIPS.has(error.code)) return error
      throw error
    }
  }

  /** @param again whether an earlier claim of the worker may have acted on the job, or may still act on it */
  return async (job: SelectedJob, given: JobRecord | undefined, again: boolean): Promise<Outcome> => {
    const look = async (): Promise<JobRecord | undefined> => queues().getJob(job.queue, job.id)
    const record = given ?? (await look())
    if (again && hasActed(job, record)) return 'done'
    const outcome = await attempt(job, record)
    if (!again || outcome === 'done') return outcome
    // A worker that has lost its claim may have acted on the job a moment ago.
    return hasActed(job, await look()) ? 'done' : outcome
  }
}

function refused(id: string, why: string): QueueError {
  return new QueueError('JOB_STATE', `Job "${id}" ${why}.`)
}

function missing(queue: string, id: string): QueueError {
  return new QueueError('JOB_NOT_FOUND', `Queue "${queue}" has no job "${id}" any more.`)
}
