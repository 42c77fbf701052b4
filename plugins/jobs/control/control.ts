import {
  checkKeys,
  endKey,
  QueueError,
  type EnqueuedJob,
  type JobRecord,
  type JobRef,
  type PluginKernel,
  type RetryOptions,
  type StoredEvent,
  type Unsubscribe,
} from '../../../kernel/index.ts'
import { checkOptions, checkString, checkTimeout } from '../../lib/check-options.ts'
import { checkRef } from '../lib/check-ref.ts'
import { createJobActions, type DuplicateOptions } from './job-actions.ts'
import { cancelled, createResults, resultOf } from './results.ts'

/** The stream on which instances send aborts to each other. These are only messages; the log of a run decides. */
const CONTROL_STREAM = '_control'

interface AbortMessage {
  runId: string
  jobId?: string
  reason: string
}

export interface Control {
  /**
   * Cancels a job that has not ended. The end is stored in the log first, so no instance starts the job any more. Then the job leaves the
   * queue, and the signal of a running handler aborts in any instance. Returns false if the job had already ended.
   *
   * @throws QueueError `JOB_NOT_FOUND`, `OPTION_INVALID`; `JOB_FORGOTTEN` if it has ended and is no longer kept
   */
  cancel(job: JobRef, options?: { reason?: string }): Promise<boolean>
  /**
   * Runs a failed or cancelled job again with all its attempts. Works immediately after its end was reported, even if the queue does not
   * yet know the end.
   *
   * @param options.data replaces the data of the job. If this instance has the worker, its schema checks the data
   * @throws QueueError `JOB_NOT_FOUND`, `JOB_FORGOTTEN`, `JOB_STATE`, `VALIDATION_FAILED`, `VALUE_UNSUPPORTED`, `PAYLOAD_TOO_LARGE`
   * @example
   * await kernel.retry({ queue: 'mail', id }, { data: { to: 'ada@example.com' } })
   */
  retry(job: JobRef, options?: Pick<RetryOptions, 'data'>): Promise<void>
  /**
   * Enqueues a copy of a job, with its data, options, priority, tags and headers. The job may be in any state. `debounce`, `throttle` and `unique` do
   * not apply to the copy.
   *
   * @throws QueueError `JOB_NOT_FOUND`, `JOB_FORGOTTEN`; `JOB_STATE` for a step of a flow; `VALIDATION_FAILED`, `OPTION_INVALID`,
   * `OPTION_UNSUPPORTED`, `VALUE_UNSUPPORTED`, `PAYLOAD_TOO_LARGE`, `QUEUE_FULL`
   * @example
   * const copy = await kernel.duplicate({ queue: 'mail', id }, { data: { to: 'ada@example.com' }, delay: 60_000 })
   */
  duplicate(job: JobRef, options?: DuplicateOptions): Promise<EnqueuedJob>
  /**
   * Changes when a waiting or delayed job runs. This is one write to the store, so the job is never lost. Returns false for a job that is
   * running or has ended.
   *
   * @param options.delay milliseconds from now, or a date. 0 makes the job due now
   * @throws QueueError `JOB_NOT_FOUND`, `JOB_FORGOTTEN`, `OPTION_INVALID`, `OPTION_UNSUPPORTED`
   * @example
   * await kernel.reschedule({ queue: 'mail', id }, { delay: new Date('2026-12-24T18:00:00Z') })
   */
  reschedule(job: JobRef, options: { delay: number | Date }): Promise<boolean>
  /**
   * Waits for the end of a job and returns its result.
   *
   * @param job the return value of `enqueue`, or `{ queue, id }`
   * @param options.timeout milliseconds; default: no limit
   * @throws QueueError `JOB_NOT_FOUND` if there is no such job, or it is removed in the meantime; `JOB_FORGOTTEN` if it has ended and only
   * its id is known, because neither the job nor its history is kept; `JOB_CANCELLED`, `RESULT_TIMEOUT`, `OPTION_INVALID`; or an Error with the message and
   * the code of the handler's error
   */
  result<Result = unknown>(
    job: JobRef & Partial<Pick<EnqueuedJob<Result>, 'runId' | '~result'>>,
    options?: { timeout?: number },
  ): Promise<Result>
  /** Waits for an event of a run by its key. The event may already be stored. @throws QueueError `RESULT_TIMEOUT`, `OPTION_INVALID` */
  waitFor(runId: string, key: string, options?: { timeout?: number }): Promise<StoredEvent>
  /** Aborts attempts of a run, or of one of its jobs, in every instance. The log must already contain their end. */
  broadcastAbort(target: { runId: string; jobId?: string }, reason: string): Promise<void>
}

export function createControl(kernel: PluginKernel): { members: Control; listen: () => Promise<Unsubscribe> } {
  async function find(ref: JobRef): Promise<JobRecord> {
    const { queue, id } = checkRef(ref)
    const job = await kernel.port('queue').getJob(queue, id)
    if (job) return job
    throw await results.missing(queue, id)
  }
  const results = createResults(kernel)
  const { retryOptions, ...actions } = createJobActions(kernel, find)

  const members: Control = {
    async cancel(ref, options = {}) {
      const { reason = 'on request' } = checkOptions('cancel()', options, { reason: checkString })
      const { id, queue, runId, name, flow, round, tags } = await find(ref)
      const key = endKey({ id, round })
      const data = { reason }
      const event = { type: 'step.cancelled', key, data, flow: flow?.name, step: flow?.step ?? name, stepId: id }
      const run = flow ? undefined : { status: 'cancelled' as const, name, queue, jobId: id, tags }
      const result = await kernel.emit(runId, [event], {
        unless: key,
        run,
        reopen: !flow && round > 0,
      })
      if (!result.ok) return false
      // Abort in this process at once, so that a handler that has not started yet does not start.
      kernel.abort({ runId, jobId: id }, cancelled(id, reason))
      await kernel.port('queue').cancel(queue, id)
      await members.broadcastAbort({ runId, jobId: id }, reason)
      return true
    },
    ...actions,
    async retry(ref, options = {}) {
      checkKeys('retry()', options, ['data'])
      const job = await find(ref)
      const { id, flow } = job
      if (flow) {
        const hint = `Start the flow "${flow.name}" again.`
        throw new QueueError('JOB_STATE', `Job "${id}" is a step of a run that has ended. ${hint}`)
      }
      const changes = await retryOptions(job, options)
      await results.settled(ref, job)
      await kernel.port('queue').retry(ref.queue, ref.id, changes)
    },
    async result<Result>(job: Parameters<Control['result']>[0], options: { timeout?: number } = {}) {
      const { id } = checkRef(job)
      const { timeout } = checkOptions('result()', options, { timeout: checkTimeout })
      return resultOf(id, await results.endOf(job, timeout)) as Result
    },
    waitFor: async (runId, key, options = {}) =>
      results.waitFor(runId, key, checkOptions('waitFor()', options, { timeout: checkTimeout })),
    async broadcastAbort(target, reason) {
      const data: AbortMessage = { ...target, reason }
      await kernel.port('events').publish(CONTROL_STREAM, [{ type: 'abort', data }])
    },
  }

  async function listen(): Promise<Unsubscribe> {
    return kernel.port('events').subscribe(
      CONTROL_STREAM,
      {
        onMessage: ({ type, data }) => {
          if (type !== 'abort') return
          const { reason, ...target } = data as AbortMessage
          kernel.abort(target, cancelled(target.jobId ?? target.runId, reason))
        },
      },
      () => {},
    )
  }
  return { members, listen }
}
