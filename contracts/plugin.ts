import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { AppendOptions, AppendResult, EventDraft, StoredEvent } from './events.ts'
import type { Kernel, KernelConfig, Reporter } from './kernel.ts'
import type { Ports } from './ports.ts'
import type { MaybePromise } from './promise.ts'
import type { RunContext, WorkerDefinition } from './worker.ts'

export type Teardown = () => MaybePromise<void>

/** Checks what a worker's config has under one key. Throws a QueueError that says what it has to be. */
export type WorkerOptionCheck = (value: unknown, worker: WorkerDefinition) => MaybePromise<void>

/**
 * The kernel as the setup of a plugin sees it. What it has beside `Kernel` may write what is reserved, such as events
 * `step.*` and `flow.*`, so handlers and applications do not have it: keep it in the plugin.
 */
export interface PluginKernel extends Kernel {
  /** Appends events through the `emit` hook; other than `Kernel.emit`, of any type and key. */
  emit: Kernel['emit']
  /**
   * Appends as the claim of a job, and nothing once the job has ended or somebody else holds it.
   *
   * @param ctx the context of the job
   */
  append(ctx: RunContext, events: EventDraft[], options?: AppendOptions): MaybePromise<AppendResult>
  /**
   * Like `ctx.emit`, of any type and key: appends one event of the job's step.
   *
   * @throws QueueError `RUN_ENDED`, `LEASE_LOST`, `VALUE_UNSUPPORTED`
   */
  record(ctx: RunContext, type: string, data?: unknown, options?: { key?: string }): Promise<StoredEvent | undefined>
  /** Like `ctx.outbox`, for events of any type: what is in it is stored with `step.completed`, or not at all. */
  outbox(ctx: RunContext): EventDraft[]
  /** Adds an option to worker configs, as `workerOptions` does, for options that are known only while a kernel runs. */
  defineWorkerOption(key: string, check: WorkerOptionCheck): void
  /**
   * Adds members to `PluginKernel`, which other plugins see. Their types are added by declaration merging.
   *
   * @throws QueueError `PORT_DUPLICATE` when one is there
   */
  share(members: Partial<PluginKernel>): void
}

/** The only unit of capability. Made with `definePlugin`. */
export interface Plugin<Options = undefined> {
  /** Unique in a kernel; errors and `requires` use it. */
  readonly name: string
  /** `pre` is set up before all others and sits outermost in every hook, `post` the opposite. */
  readonly enforce?: 'pre' | 'post'
  /** Ports or plugins that must be there when this one is set up. */
  readonly requires?: readonly (keyof Ports | (string & {}))[]
  /** The section of the configuration that holds its options. Default: its name. */
  readonly configKey?: string
  /** Checks and completes the options. Without one, any option is an error. */
  readonly options?: StandardSchemaV1<unknown, Options>
  /**
   * The keys of worker configs that this plugin reads, each with a check of its value. `registerWorker` refuses a key
   * that no plugin reads. Their types are added to `WorkerConfig` by declaration merging.
   *
   * @example
   * workerOptions: { region: workerOption('region', z.enum(['eu', 'us'])) }
   */
  readonly workerOptions?: Readonly<Record<string, WorkerOptionCheck>>
  /**
   * Hooks, provides, registers. May return what undoes it; teardowns run in reverse order. Has to
   * settle within `setupTimeout`.
   */
  setup(kernel: PluginKernel, options: Options): MaybePromise<void | Teardown>
}

/** Any plugin, whatever its options. */
export interface AnyPlugin extends Omit<Plugin<never>, 'options'> {
  readonly options?: StandardSchemaV1
}

/** A named list of plugins with default config. Made with `definePreset`. */
export interface Preset {
  readonly name: string
  /** What this one builds on; a plugin of the same name takes the inherited one's place. */
  readonly extends?: Preset
  readonly plugins?: readonly AnyPlugin[]
  readonly config?: KernelConfig
}

export interface KernelOptions {
  preset?: Preset
  plugins?: readonly AnyPlugin[]
  config?: KernelConfig
  reporter?: Reporter
  /** Makes job and run ids. Default: `randomUUID`. */
  generateId?: () => string
}
