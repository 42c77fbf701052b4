import {
  definePlugin,
  fitText,
  isFinalRefusal,
  reviveError,
  type EmitPayload,
  type Job,
  type Next,
  type RunContext,
  type SerializedError,
} from '../../../kernel/index.ts'
import { storedEnd } from '../../lib/stored-end.ts'
import { anyFunction, workerOption } from '../../lib/worker-option.ts'
import type { FailedJob } from './options.ts'

export type { FailedJob, JobFailure } from './options.ts'

/** The data of the job that calls `onFailure`. */
interface FailureRecord {
  job: FailedJob
  error: SerializedError
}

const RETRIES = { attempts: 5, backoff: { type: 'exponential', delay: 1000, maxDelay: 60_000 } } as const
/** How long a failure waits for a version of its worker that has the option, in milliseconds. */
const WITHOUT_HANDLER = 30_000

/**
 * Calls `onFailure` of a worker for each job that has failed permanently, in a separate job. Its id is derived from the end of the failed
 * job. The end is in the log before that job is settled, so a process that dies in between leaves both to the next one.
 */
export default definePlugin({
  name: 'on-failure',
  requires: ['queue', 'events'],
  workerOptions: { onFailure: workerOption('onFailure', anyFunction) },
  setup(kernel) {
    kernel.onWorkerStart(async ({ id, name, queue, worker }) => {
      if (!worker.onFailure) return
      const config = { queue: failuresOf(queue.name), name, ...RETRIES }
      const handler = (job: Job, ctx: RunContext) => handle(job.data as FailureRecord, ctx)
      await kernel.registerWorker({ id: fitText(`_failures/${id}`), config, handler }, { replace: true })
    })
    kernel.hook('emit', record, { when: ({ ctx }) => ctx?.worker.worker.onFailure !== undefined })

    /** Also runs if the end was stored earlier, because the process that stored it may have died before this step. */
    async function record(payload: EmitPayload, next: Next): Promise<void> {
      await next()
      const { ctx, stream, options } = payload
      const end = await storedEnd(kernel, payload)
      if (end?.type !== 'step.failed') return
      const { id, queue, name, runId, data, tags, headers, attempt, flow } = ctx!.job
      const { error } = end.data as { error: SerializedError }
      const job: FailedJob = { id, queue, name, runId, data, tags, headers, attempt, ...(flow && { flow: flow.name }) }
      const target = { queue: failuresOf(queue), name }
      const own = { id: fitText(`failed.${stream}.${options.unless}`), ...RETRIES, tags, headers }
      try {
        await kernel.enqueue(target, { job, error } satisfies FailureRecord, own)
      } catch (refused) {
        if (!isFinalRefusal(refused)) throw refused
        const { message, name: kind, code } = error
        const short: SerializedError = { name: kind, message, ...(code !== undefined && { code }) }
        await kernel.enqueue(target, { job: { ...job, data: undefined }, error: short } satisfies FailureRecord, own)
      }
    }

    async function handle({ job, error }: FailureRecord, ctx: RunContext): Promise<unknown> {
      const onFailure = kernel.registry.find(job.queue, job.name)?.worker.onFailure
      if (!onFailure) return ctx.defer({ delay: WITHOUT_HANDLER })
      try {
        return await onFailure({ job, error: reviveError(error), ctx })
      } catch (thrown) {
        if (ctx.attempt >= ctx.job.attempts) {
          kernel.reporter.error(`"onFailure" failed for job "${job.id}" (${job.name}) and is not called again.`, thrown)
        }
        throw thrown
      }
    }
  },
})

/** Returns the queue of the failures of a queue. */
function failuresOf(queue: string): string {
  return fitText(`_failures/${queue}`)
}
