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
import type { JobOptionRule } from '../lib/job-option-rule.ts'
import { aged } from './ageing.ts'
import { createCustomOptions, type JobOptionInfo, type JobOptionSources } from './custom-options.ts'
import { createRedrive, letterOf, type Redriven, type RedriveOptions } from './dead-letters.ts'
import { createRules } from './rules.ts'

export type { JobOptionInfo, JobOptionSources } from './custom-options.ts'
export type { DeadLetter, Redriven, RedriveOptions } from './dead-letters.ts'
export type { JobOptionRule } from '../lib/job-option-rule.ts'

declare module 'nuxt-queue/kernel' {
  interface Kernel {
    /**
     * Moves dead letters back to their original queues and names, oldest first, with their data, options and all attempts. If the call is
     * interrupted, no letter is lost, and a repeated call duplicates none. Letters of flow steps stay, because their flows have ended. Jobs
     * that are not dead letters stay as well.
     *
     * @throws QueueError `OPTION_INVALID`
     * @example
     * await kernel.redrive('dead', { filter: ({ error }) => error.message.includes('ECONNREFUSED') })
     */
    redrive(queue: string, options?: RedriveOptions): Promise<Redriven[]>
    /**
     * Adds a job option. The option is checked when a job is enqueued, every adapter stores it with the job, and hooks and handlers find it
     * in `job.options`. Declare its type as a member of `JobOptions`.
     *
     * @param schema any synchronous Standard Schema. Jobs contain the parsed value
     * @param sources additional sources of the option, besides `enqueue`
     * @throws QueueError `OPTION_INVALID` if an option with that name exists
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
    /**
     * Adds a job option of a plugin of this package, as `defineJobOption` does for other plugins, but with a rule instead of a schema.
     *
     * @throws QueueError `OPTION_INVALID` if an option with that name exists
     */
    declareJobOption(name: string, rule: JobOptionRule): void
    /** The names of the job options that have a rule: those of this package. */
    readonly jobOptionNames: readonly string[]
    /** Moves one dead letter back. Repeated calls move it once. Returns `undefined` for a job that is not a dead letter. */
    redriveLetter(job: JobRecord): Promise<Redriven | undefined>
  }
}

/** The options in `config.jobs`. */
const GENERAL_OPTIONS = ['attempts', 'backoff', 'timeout', 'priority', 'ageing']

const OWN_RULES = createRules()

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
  workerOptions: Object.fromEntries(OWN_RULES.ofWorkers.map((key) => [key, OWN_RULES.checkOfWorker(key)])),
  setup(kernel) {
    const rules = createRules()
    let perWorker = new WeakMap<WorkerDefinition, Defaults>()
    const custom = createCustomOptions(kernel, rules, () => {
      perWorker = new WeakMap()
    })
    checkKeys('Config "jobs"', kernel.config.jobs, GENERAL_OPTIONS)
    rules.check(kernel.config.jobs, 'config "jobs"')
    const { priority, ageing, ...general } = kernel.config.jobs
    const unknown: Defaults = { options: Object.freeze(general), priority: priority ?? 0, ageing, tags: undefined }

    function defaultsOf(worker: WorkerDefinition): Defaults {
      const own = {
        ...pick(worker.worker, rules.ofWorkers),
        ...custom.readAll(worker.worker, `worker "${worker.id}"`, 'worker'),
      }
      const { priority = 0, ageing, tags, backoff, ...others } = merge(kernel.config.jobs, own)
      // A function stays with the worker. The kernel calls it for jobs without a backoff of their own.
      const options = typeof backoff === 'function' || backoff === undefined ? others : { ...others, backoff }
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
      const hint = 'Remove the option, or use another adapter.'
      throw new QueueError('OPTION_UNSUPPORTED', `This queue adapter does not support "${option}". ${hint}`)
    }

    kernel.hook('enqueue', (payload, next) => {
      const { job, options, worker } = payload
      const defaults = worker ? (perWorker.get(worker) ?? defaultsOf(worker)) : unknown
      job.options = defaults.options
      job.priority = defaults.priority
      for (const _any in options) {
        const owner = `job "${job.name}"`
        rules.check(options, owner, custom.defined)
        job.options = merge(defaults.options, {
          ...pick(options, rules.stored),
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

    const { redrive, redriveLetter } = createRedrive(kernel, rules)
    kernel.extend({ redrive, defineJobOption: custom.define, customJobOptions: custom.defined })
    kernel.share({ redriveLetter, declareJobOption: custom.declare, jobOptionNames: rules.names })
    kernel.hook('dispatch', refuseCrashed, { when: ({ job }) => job.crashes >= kernel.config.maxCrashes })

    /** Fails a job that keeps killing its worker. Such a job does not use up attempts and would run forever. */
    function refuseCrashed({ job }: DispatchPayload): never {
      const crashed = `Job "${job.id}" was claimed ${job.crashes} times without reaching an end`
      const message = `${crashed}, for example because it made its workers die. It will not be retried.`
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

    /** Also runs if the end was stored earlier, because the process that stored it may have died before this step. */
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
