import {
  checkKeys,
  definePlugin,
  fitText,
  QueueError,
  type DispatchPayload,
  type EmitPayload,
  type Next,
  type EnqueuePayload,
  type JobRecord,
  type StoredJobOptions,
  type WorkerDefinition,
} from '../../../kernel/index.ts'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { storedEnd } from '../../lib/stored-end.ts'
import { aged } from './ageing.ts'
import { createCustomOptions, type JobOptionInfo, type JobOptionSources } from './custom-options.ts'
import { createRedrive, letterOf, type Redriven, type RedriveOptions } from './dead-letters.ts'
import { checkJobOptions, jobOptionOf, STORED_OPTIONS, WORKER_OPTIONS } from './rules.ts'

export type { JobOptionInfo, JobOptionSources } from './custom-options.ts'
export type { DeadLetter, Redriven, RedriveOptions } from './dead-letters.ts'

declare module 'nuxt-queue/kernel' {
  interface Kernel {
    /**
     * Moves dead letters back to the queues and names they came from, the oldest first, with their data, options and all
     * attempts. If it stops in the middle, no letter is lost, and a repeated call duplicates none. Letters of flow steps stay,
     * since their flows have ended. Jobs that are not dead letters stay as well.
     *
     * @example
     * await kernel.redrive('dead', { filter: ({ error }) => error.message.includes('ECONNREFUSED') })
     */
    redrive(queue: string, options?: RedriveOptions): Promise<Redriven[]>
    /**
     * Adds a job option. It is checked when a job is enqueued, stored with the job by every adapter, and found in
     * `job.options` by hooks and handlers. Declare its type as a member of `JobOptions`.
     *
     * @param schema any synchronous Standard Schema; jobs carry what it parsed
     * @param sources where the option may come from beside `enqueue`
     * @throws QueueError `OPTION_INVALID` when an option of that name exists
     * @example
     * declare module 'nuxt-queue/kernel' {
     *   interface JobOptions { region?: 'eu' | 'us' }
     * }
     * kernel.defineJobOption('region', z.enum(['eu', 'us']), { worker: true })
     * await kernel.enqueue('mail', data, { region: 'eu' })
     */
    defineJobOption(name: string, schema: StandardSchemaV1, sources?: JobOptionSources): void
    /** The job options that plugins and the application have defined, by name. */
    readonly customJobOptions: ReadonlyMap<string, JobOptionInfo>
  }
  interface PluginKernel {
    /** Moves one dead letter back, once however often it is called. Returns `undefined` for a job that is none. */
    redriveLetter(job: JobRecord): Promise<Redriven | undefined>
  }
}

/** The options in `config.jobs`. */
const GENERAL_OPTIONS = ['attempts', 'backoff', 'timeout', 'priority', 'ageing']

interface Defaults {
  options: StoredJobOptions
  priority: number
  ageing: number | undefined
  tags: readonly string[] | undefined
}

/** Checks job options, and completes them from the worker and from `config.jobs`. */
export default definePlugin({
  name: 'job-options',
  enforce: 'pre',
  workerOptions: Object.fromEntries(WORKER_OPTIONS.map((key) => [key, jobOptionOf(key)])),
  setup(kernel) {
    let perWorker = new WeakMap<WorkerDefinition, Defaults>()
    const custom = createCustomOptions(kernel, () => {
      perWorker = new WeakMap()
    })
    checkKeys('Config "jobs"', kernel.config.jobs, GENERAL_OPTIONS)
    checkJobOptions(kernel.config.jobs, 'config "jobs"')
    const { priority, ageing, ...general } = kernel.config.jobs
    const unknown: Defaults = { options: Object.freeze(general), priority: priority ?? 0, ageing, tags: undefined }

    function defaultsOf(worker: WorkerDefinition): Defaults {
      const own = {
        ...pick(worker.worker, WORKER_OPTIONS),
        ...custom.readAll(worker.worker, `worker "${worker.id}"`, 'worker'),
      }
      const { priority = 0, ageing, tags, ...options } = merge(kernel.config.jobs, own)
      const defaults = { options: Object.freeze(options), priority, ageing, tags: tags && Object.freeze([...tags]) }
      perWorker.set(worker, defaults)
      return defaults
    }

    function assertSupported({ job, options }: EnqueuePayload): void {
      const { capabilities } = kernel.port('queue')
      const option =
        !capabilities.delay && job.runAt > job.createdAt
          ? 'delay'
          : !capabilities.priority && (options.priority ?? options.ageing) !== undefined
            ? 'priority'
            : !capabilities.transaction && options.db !== undefined && 'db'
      if (!option) return
      const hint = 'Leave it out, or use another adapter.'
      throw new QueueError('OPTION_UNSUPPORTED', `This queue adapter cannot honour "${option}". ${hint}`)
    }

    kernel.hook('enqueue', (payload, next) => {
      const { job, options, worker } = payload
      const defaults = worker ? (perWorker.get(worker) ?? defaultsOf(worker)) : unknown
      job.options = defaults.options
      job.priority = defaults.priority
      for (const _any in options) {
        const owner = `job "${job.name}"`
        checkJobOptions(options, owner, custom.defined)
        job.options = merge(defaults.options, {
          ...pick(options, STORED_OPTIONS),
          ...custom.readAll(options, owner, 'job'),
        })
        job.priority = options.priority ?? defaults.priority
        assertSupported(payload)
        break
      }
      if (defaults.tags) job.tags = job.tags ? [...defaults.tags, ...job.tags] : defaults.tags
      const ageing = options.ageing ?? defaults.ageing
      if (ageing !== undefined) job.priority = aged(job, ageing)
      return next()
    })

    const { redrive, redriveLetter } = createRedrive(kernel)
    kernel.extend({ redrive, defineJobOption: custom.define, customJobOptions: custom.defined })
    kernel.share({ redriveLetter })
    kernel.hook('dispatch', refuseCrashed, { when: ({ job }) => job.crashes >= kernel.config.maxCrashes })

    /** Fails a job that keeps killing its worker. Such a job uses up no attempts and would run for ever. */
    function refuseCrashed({ job }: DispatchPayload): never {
      const crashed = `Job "${job.id}" was handed out ${job.crashes} times without an end`
      const message = `${crashed}, for example because its workers died with it. It will not be tried again.`
      throw new QueueError('JOB_CRASHED', message, { retryable: false, details: { crashes: job.crashes } })
    }

    kernel.hook('dispatch', withTimeout, { when: ({ job }) => job.options.timeout !== undefined })

    async function withTimeout(dispatch: DispatchPayload, next: Next): Promise<void> {
      const ms = dispatch.job.options.timeout!
      const message = `Job "${dispatch.job.name}" did not finish within its timeout of ${ms} ms.`
      const stop = kernel.clock.setTimeout(() => dispatch.abort(new QueueError('JOB_TIMEOUT', message)), ms)
      try {
        await next()
      } finally {
        stop()
      }
    }

    kernel.hook('emit', withDeadLetter, { when: ({ ctx }) => ctx?.job.options.deadLetter !== undefined })

    /** Also runs when the end was stored before, since the process that stored it may have died before this step. */
    async function withDeadLetter(payload: EmitPayload, next: Next): Promise<void> {
      await next()
      const { ctx, stream, options } = payload
      const end = await storedEnd(kernel, payload)
      if (end?.type !== 'step.failed') return
      const { job } = ctx!
      const letter = {
        id: fitText(`dead.${stream}.${options.unless}`),
        attempts: 1,
        tags: job.tags,
        headers: job.headers,
      }
      await kernel.enqueue({ queue: job.options.deadLetter!, name: job.name }, letterOf(job, end), letter)
    }
  },
})

function pick<T extends object, K extends keyof T>(from: T, keys: readonly K[]): Partial<Pick<T, K>> {
  return Object.fromEntries(keys.flatMap((key) => (from[key] === undefined ? [] : [[key, from[key]]]))) as Partial<
    Pick<T, K>
  >
}

function merge<A extends object, B extends object>(defaults: A, over: B): A & B {
  return { ...defaults, ...over }
}
