import { isQueueError, QueueError, type JobRecord, type PluginKernel } from '../../../kernel/index.ts'
import type { BulkAction, BulkRequest, SelectedJob } from './report.ts'

/** What became of a job: the action is done, or it does not apply to the job for a reason. */
type Outcome = 'done' | QueueError

/**
 * @param job the selected job
 * @param record the job as it is now
 * @param again whether an earlier claim of the worker may have acted on the job
 */
type Act = (job: SelectedJob, record: JobRecord, again: boolean) => Promise<Outcome>

/** Returns a function that acts on one job. It never acts twice on a job, however often a worker dies and repeats it. */
export function createActor(kernel: PluginKernel, { action, reason }: BulkRequest) {
  const queues = () => kernel.port('queue')

  const ACTIONS: Readonly<Record<BulkAction, Act>> = {
    async retry({ queue, id, round }, { flow }, again) {
      if (flow) return refused(id, `is a step of a run. Start the flow "${flow.name}" again`)
      try {
        // The store compares the round, so that two workers cannot both retry the job.
        await queues().retry(queue, id, { round })
        return 'done'
      } catch (error) {
        if (!isQueueError(error, 'JOB_STATE')) throw error
        // A worker that has lost its claim may have retried the job a moment ago.
        const now = again ? await queues().getJob(queue, id) : undefined
        return now && now.round > round ? 'done' : error
      }
    },
    async cancel(job, record, again) {
      if (await kernel.cancel(job, reason === undefined ? {} : { reason })) return 'done'
      return again && record.state === 'cancelled' ? 'done' : refused(job.id, 'had ended')
    },
    async remove({ queue, id }) {
      return (await queues().remove(queue, id)) ? 'done' : missing(queue, id)
    },
    async promote({ queue, id }) {
      return (await queues().promote(queue, id)) ? 'done' : refused(id, 'is not delayed')
    },
    async redrive({ id }, record) {
      return (await kernel.redriveLetter(record)) ? 'done' : refused(id, 'is no dead letter that can be moved')
    },
  }
  /** Actions after which a job is gone. */
  const removes = action === 'remove' || action === 'redrive'
  const act = ACTIONS[action]

  /** Whether an earlier claim has acted on the job. The marks of a job change with each action. */
  function hasActed({ round, claims, createdAt }: SelectedJob, record: JobRecord | undefined): boolean {
    if (!record) return removes
    if (removes) return record.createdAt !== createdAt
    if (record.round !== round) return true
    return action === 'promote' && (record.claims !== claims || record.state !== 'delayed')
  }

  return async (job: SelectedJob, given: JobRecord | undefined, again: boolean): Promise<Outcome> => {
    const record = given ?? (await queues().getJob(job.queue, job.id))
    if (again && hasActed(job, record)) return 'done'
    return record ? act(job, record, again) : missing(job.queue, job.id)
  }
}

function refused(id: string, why: string): QueueError {
  return new QueueError('JOB_STATE', `Job "${id}" ${why}.`)
}

function missing(queue: string, id: string): QueueError {
  return new QueueError('JOB_NOT_FOUND', `Queue "${queue}" has no job "${id}" any more.`)
}
