import {
  checkDuration,
  checkKeys,
  checkMoment,
  checkText,
  isMoment,
  QueueError,
  type EnqueuedJob,
  type EnqueueResult,
  type JobRecord,
  type JobRef,
  type PluginKernel,
  type RetryOptions,
} from '../../../kernel/index.ts'
import { parse } from '../../lib/parse.ts'

/** Options of a copy of a job. */
export interface DuplicateOptions {
  /** If present, replaces the data in the copy. */
  data?: unknown
  /** The id of the copy. If a job with this id exists, it is returned instead. Default: a new id. */
  id?: string
  /** Milliseconds, or a date, before which the copy does not run. Default 0. */
  delay?: number | Date
}

/** Creates the actions that change or copy a job. @param find returns the record of a job, or throws */
export function createJobActions(kernel: PluginKernel, find: (job: JobRef) => Promise<JobRecord>) {
  const queue = () => kernel.port('queue')

  /** Checks data with the schema of the worker, like `enqueue`. An instance without the worker does not check. */
  async function checkData({ queue: of, name }: JobRecord, data: unknown): Promise<unknown> {
    const input = kernel.registry.find(of, name)?.worker.input
    return input ? parse(input, data, `data of job "${name}"`) : data
  }

  /** @throws QueueError `JOB_STATE` for a step of a flow */
  function assertPlain({ id, flow }: JobRecord, what: string): void {
    if (!flow) return
    const hint = `Start the flow "${flow.name}" again, or fork the run.`
    throw new QueueError('JOB_STATE', `Job "${id}" is a step of a run, which cannot be ${what}. ${hint}`)
  }

  function momentOf(what: string, delay: number | Date): number {
    if (typeof delay === 'number' || !isMoment(delay)) return kernel.clock.now() + checkDuration(what, delay)
    return checkMoment(what, delay)
  }

  function assertDelay(): void {
    if (queue().capabilities.delay) return
    const message = 'This queue adapter does not support "delay". Remove the option, or use another adapter.'
    throw new QueueError('OPTION_UNSUPPORTED', message, { details: { option: 'delay' } })
  }

  return {
    /** Returns the options of the port for a retry. @throws QueueError `JOB_STATE`, `VALIDATION_FAILED` */
    async retryOptions(job: JobRecord, options: Pick<RetryOptions, 'data'>): Promise<RetryOptions> {
      if (!('data' in options)) return {}
      if (job.options.debounce) {
        const hint = 'Duplicate it with other data instead.'
        throw new QueueError('JOB_STATE', `Job "${job.id}" takes the data of its last debounced call. ${hint}`)
      }
      if (job.options.unique?.replace?.includes('data')) {
        const hint = 'Duplicate it with other data instead.'
        throw new QueueError('JOB_STATE', `Job "${job.id}" takes the data of the last call with its key. ${hint}`)
      }
      return { data: await checkData(job, options.data) }
    },
    async duplicate(ref: JobRef, options: DuplicateOptions = {}): Promise<EnqueuedJob> {
      checkKeys('duplicate()', options, ['data', 'id', 'delay'])
      const record = await find(ref)
      assertPlain(record, 'duplicated')
      const { queue: to, name, priority, tags, headers } = record
      const id = options.id === undefined ? kernel.newId() : checkText('Option "id" of duplicate()', options.id)
      const createdAt = kernel.clock.now()
      const { delay = 0 } = options
      const runAt = delay === 0 ? createdAt : momentOf('Option "delay" of duplicate()', delay)
      if (runAt > createdAt) assertDelay()
      // The caller requested this copy explicitly, so it is neither debounced nor throttled, and need not be unique.
      const { debounce: _held, throttle: _dropped, unique: _one, ...kept } = record.options
      // Skips the `enqueue` hooks, because the options have already passed through them.
      const receipt = await queue().enqueue({
        ...{ id, queue: to, name, priority, createdAt, runAt, flow: undefined, options: kept },
        ...(tags && { tags }),
        ...(headers && { headers }),
        runId: options.id === undefined ? id : kernel.newId(),
        data: 'data' in options ? await checkData(record, options.data) : record.data,
      })
      const result: EnqueueResult = { ...receipt, queue: to, name }
      return kernel.port('handles')(result)
    },
    async reschedule(ref: JobRef, options: { delay: number | Date }): Promise<boolean> {
      checkKeys('reschedule()', options, ['delay'])
      const { delay } = options
      assertDelay()
      const runAt = momentOf('Option "delay" of reschedule()', delay)
      const { queue: of, id } = await find(ref)
      return queue().reschedule(of, id, runAt)
    },
  }
}
