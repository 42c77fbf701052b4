import { z } from 'zod'
import {
  checkTags,
  definePlugin,
  EXPECTED,
  fitText,
  isQueueError,
  isText,
  QueueError,
  type EnqueuePayload,
  type Kernel,
  type RunInfo,
  type WorkerDefinition,
  type WorkerOptionCheck,
} from '../../../kernel/index.ts'
import { anyFunction, workerOption } from '../../lib/worker-option.ts'
import { placesOf } from '../lib/flow-places.ts'
import { valueAtPath, isKey, eventKeysOf } from '../lib/field.ts'
import type { CancellableJob, CancelOn } from './options.ts'

export type { CancellableJob, CancelOn } from './options.ts'

type SentEvent = Parameters<Parameters<Kernel['onEvent']>[0]>[0]

/** The number of jobs or runs in one read. */
const PAGE = 100

const shape = z.strictObject({
  event: z.custom((value) => isText(value), `is ${EXPECTED.text}`),
  match: z
    .custom((value) => isText(value) || typeof value === 'function', 'is the path of a field, or a function')
    .optional(),
  filter: anyFunction.optional(),
})

/**
 * Cancels jobs and runs when an event arrives. `enqueue` adds a tag for the event and its key to each job, atomically with the job, so an
 * event finds the jobs by an index. The job that delivers the event is retried until all of them are cancelled.
 */
export default definePlugin({
  name: 'cancel-on',
  requires: ['queue', 'events', 'bus', 'search', 'control', 'flow'],
  workerOptions: { cancelOn: checkCancelOn },
  setup(kernel) {
    kernel.hook(
      'enqueue',
      (payload, next) => {
        addTags(payload)
        return next()
      },
      { when: ({ worker }) => worker?.worker.cancelOn !== undefined },
    )

    kernel.onEvent(async (event) => {
      for (const worker of kernel.registry.workers) {
        for (const one of listOf(worker)) if (one.event === event.name) await cancelAll(worker, one, event)
      }
    })

    async function cancelAll(worker: WorkerDefinition, one: CancelOn, event: SentEvent): Promise<void> {
      const { match } = one
      const reason = `event "${event.name}"`
      for (const key of eventKeysOf(event, typeof match === 'string' ? [match] : [])) {
        const tag = tagOf(one, key)
        for await (const job of openJobs(worker, tag)) {
          if (job.createdAt > event.at || one.filter?.(event.payload, job) === false) continue
          if (job.flow) await kernel.flow(job.flow.name).cancel(job.runId, { reason })
          else await cancelJob(job, reason)
        }
        for (const flow of placesOf(worker)) {
          for await (const run of openRuns(flow.name, tag)) {
            if (run.startedAt > event.at || (one.filter && !(await passes(one, event, run, worker)))) continue
            await kernel.flow(flow.name).cancel(run.runId, { reason })
          }
        }
      }
    }

    /** Runs the filter for a run whose entry is not in the queue any more. */
    async function passes({ filter }: CancelOn, { payload }: SentEvent, run: RunInfo, worker: WorkerDefinition) {
      const { runId, jobId = runId, queue = worker.queue.name } = run
      const [first] = await kernel.port('events').read(runId, { limit: 1 })
      const data = (first?.data as { input?: unknown } | undefined)?.input
      return filter!(payload, { id: jobId, queue, name: worker.name, runId, data })
    }

    async function* openJobs({ queue, name }: WorkerDefinition, tag: string) {
      const search = { tag, queue: queue.name, name, states: ['waiting', 'delayed', 'active'], limit: PAGE } as const
      let after: string | undefined
      do {
        const page = await kernel.findJobs({ ...search, ...(after !== undefined && { after }) })
        yield* page.jobs
        after = page.next
      } while (after !== undefined)
    }

    async function* openRuns(flow: string, tag: string) {
      const filter = { status: 'running', flow, tag, limit: PAGE } as const
      let page: readonly RunInfo[] = []
      do {
        const after = page.at(-1)
        page = await kernel.port('events').runs.list({ ...filter, ...(after && { after }) })
        yield* page
      } while (page.length === PAGE)
    }

    async function cancelJob(job: CancellableJob, reason: string): Promise<void> {
      try {
        await kernel.cancel(job, { reason })
      } catch (error) {
        // It has ended and was removed since the search.
        if (!isQueueError(error, 'JOB_NOT_FOUND') && !isQueueError(error, 'JOB_FORGOTTEN')) throw error
      }
    }
  },
})

function checkCancelOn(...[value, worker]: Parameters<WorkerOptionCheck>): void {
  void workerOption('cancelOn', shape, { list: true })(value, worker)
  const flow = placesOf(worker).find(({ role }) => role !== 'entry')
  if (!flow) return
  const message = `Worker "${worker.id}" is a step of flow "${flow.name}", so it cannot have "cancelOn". Move it to the entry of the flow: it cancels the whole run.`
  throw new QueueError('OPTION_INVALID', message, { retryable: false, details: { option: 'cancelOn' } })
}

function listOf({ worker: { cancelOn } }: WorkerDefinition): readonly CancelOn[] {
  return cancelOn === undefined ? [] : [cancelOn].flat()
}

/** @throws QueueError `OPTION_INVALID` if the data of a job has no key */
function addTags({ job, worker }: EnqueuePayload): void {
  const tags = listOf(worker!).map((one) => tagOf(one, keyFor(one, job)))
  job.tags = checkTags(`The tags of job "${job.id}"`, [...(job.tags ?? []), ...tags])
}

function keyFor({ event, match }: CancelOn, job: EnqueuePayload['job']): string {
  if (match === undefined) return ''
  const key: unknown = typeof match === 'function' ? match(job) : valueAtPath(job.data, match)
  if (isKey(key)) return String(key)
  const where = typeof match === 'function' ? 'the return value of "match"' : `field "${match}" of the job's data`
  const message = `"cancelOn" of worker "${job.name}" needs a string or a number as ${where}, to find the events "${event}" of the job; got ${typeof key}.`
  throw new QueueError('OPTION_INVALID', message, { details: { option: 'cancelOn' } })
}

/** Returns the tag of the jobs that an event with a key cancels. */
const tagOf = ({ event }: CancelOn, key: string): string => fitText(`cancelOn:${event}:${key}`)
