import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { AppendOptions, AppendResult, EventDraft, StoredEvent } from './events.ts'
import type { Kernel, KernelConfig, Reporter } from './kernel.ts'
import type { Ports } from './ports.ts'
import type { MaybePromise } from './promise.ts'
import type { RunContext, WorkerDefinition } from './worker.ts'

export type Teardown = () => MaybePromise<void>

/** Checks the value of one option of a worker. Throws a QueueError that says what was expected. */
export type WorkerOptionCheck = (value: unknown, worker: WorkerDefinition) => MaybePromise<void>

/**
 * The kernel that the setup of a plugin receives. Its additional members can write reserved events such as `step.*` and `flow.*`. Handlers
 * and applications must not get them, so keep this object inside the plugin.
 */
export interface PluginKernel extends Kernel {
  /** Appends events of any type and key through the `emit` hook. */
  emit: Kernel['emit']
  /**
   * Appends events on behalf of a job's claim. The store refuses them once the job has ended or another worker holds it.
   *
   * @param ctx the context of the job
   */
  append(ctx: RunContext, events: EventDraft[], options?: AppendOptions): MaybePromise<AppendResult>
  /**
   * Appends one event of the job's step, like `ctx.emit`, but of any type and key.
   *
   * @throws QueueError `RUN_ENDED`, `LEASE_LOST`, `VALUE_UNSUPPORTED`
   */
  record(ctx: RunContext, type: string, data?: unknown, options?: { key?: string }): Promise<StoredEvent | undefined>
  /** Events of any type that are stored together with `step.completed`, or not at all. See `ctx.outbox`. */
  outbox(ctx: RunContext): EventDraft[]
  /** Adds an option to worker configs, as `workerOptions` does, for options that are known only while a kernel runs. */
  defineWorkerOption(key: string, check: WorkerOptionCheck): void
  /**
   * Stores progress with the job, clamped to 0 to 1. Never rejects: a value that is not a number or cannot be stored is reported once and
   * ignored.
   */
  storeProgress(ctx: RunContext, value: number): Promise<void>
  /**
   * Puts a wrapper around what a later plugin provides for a port, so that everything in this kernel that uses the port uses the wrapper.
   * The wrapper that is registered first is outermost. Call it in the setup of a plugin with `enforce: 'pre'`.
   *
   * @throws QueueError `PLUGIN_REQUIRES` if the port is already provided
   */
  wrapPort<Name extends keyof Ports>(port: Name, wrap: (implementation: Ports[Name]) => Ports[Name]): void
  /**
   * Raises the time limit of this setup, and of the setups after it, to `ms` milliseconds if `setupTimeout` is less. For work that is only
   * necessary at the first start, such as creating a database.
   *
   * @param ms milliseconds
   */
  extendSetup(ms: number): void
  /**
   * Adds members to `PluginKernel`, which other plugins see. Their types are added by declaration merging.
   *
   * @throws QueueError `PORT_DUPLICATE` when a member of that name exists
   */
  share(members: Partial<PluginKernel>): void
}

/**
 * A plugin, the unit of every capability. Define it with `definePlugin`. `Options` are what its setup receives, and `Input` is what
 * its section of the configuration takes.
 */
export interface Plugin<Options = undefined, Input = unknown> {
  /** Unique in a kernel. Errors and `requires` refer to it. */
  readonly name: string
  /** A `pre` plugin is set up before all others and is outermost in every hook. `post` is the opposite. */
  readonly enforce?: 'pre' | 'post'
  /** Ports or plugins that must be set up before this one. */
  readonly requires?: readonly (keyof Ports | (string & {}))[]
  /** The section of the configuration with its options. Default: its name. */
  readonly configKey?: string
  /** Checks and completes the options. Without a schema, every option is an error. */
  readonly options?: StandardSchemaV1<Input, Options>
  /**
   * The options of workers that this plugin reads, each with a check of its value. `registerWorker` refuses an option
   * that no plugin reads. Their types are added to `WorkerConfig` by declaration merging.
   *
   * @example
   * workerOptions: { region: workerOption('region', z.enum(['eu', 'us'])) }
   */
  readonly workerOptions?: Readonly<Record<string, WorkerOptionCheck>>
  /**
   * Registers hooks, ports and members. May return a function that undoes the setup; these functions run in reverse order. Must settle
   * within `setupTimeout`, or within the limit of `kernel.extendSetup`.
   */
  setup(kernel: PluginKernel, options: Options): MaybePromise<void | Teardown>
}

/** A plugin with options of any type. */
export interface AnyPlugin extends Omit<Plugin<never>, 'options'> {
  readonly options?: StandardSchemaV1
}

/** A named list of plugins with default config. Define it with `definePreset`. */
export interface Preset {
  readonly name: string
  /** The preset that this one builds on. A plugin replaces an inherited plugin of the same name. */
  readonly extends?: Preset
  readonly plugins?: readonly AnyPlugin[]
  readonly config?: KernelConfig
}

export interface KernelOptions {
  preset?: Preset
  plugins?: readonly AnyPlugin[]
  config?: KernelConfig
  reporter?: Reporter
  /** Generates job and run ids. Default: `randomUUID`. */
  generateId?: () => string
}
