import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { Kernel, KernelConfig } from './kernel.ts'
import type { MaybePromise, Ports } from './ports.ts'
import type { WorkerDefinition } from './worker.ts'

export type Teardown = () => MaybePromise<void>

/** Checks what a worker's config has under one key. Throws a QueueError that says what it has to be. */
export type WorkerOptionCheck = (value: unknown, worker: WorkerDefinition) => MaybePromise<void>

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
  setup(kernel: Kernel, options: Options): MaybePromise<void | Teardown>
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
