import type { Clock } from './clock.ts'
import type { Enqueue } from './enqueue.ts'
import type { AppendOptions, AppendResult, EventDraft } from './events.ts'
import type { HookHandler, HookName, HookOptions, KernelHooks, ReducePayload } from './hooks.ts'
import type { JobOptions } from './job.ts'
import type { Ports, Runtime } from './ports.ts'
import type { MaybePromise } from './promise.ts'
import type { WorkerConfig } from './worker-config.ts'
import type { Registry, RunContext, WorkerDefinition, WorkerInput } from './worker.ts'

/** Receives warnings and errors that do not belong to a run. Default: the console. */
export interface Reporter {
  warn(message: string, detail?: unknown): void
  error(message: string, detail?: unknown): void
}

/** Settings of the kernel itself. */
export interface CoreConfig {
  /** Defaults of every job; the worker's config and `enqueue` override them. */
  jobs: Pick<JobOptions, 'attempts' | 'backoff' | 'timeout' | 'priority' | 'ageing'>
  /** The maximum size of an encoded payload, result or event, in bytes. Default 1 MiB. */
  payloadLimit: number
  /** The time limit for the setup of a plugin, in milliseconds. Default 10,000. */
  setupTimeout: number
  /** How many crashes of a job make it fail: its process died, or its end could not be stored. Default 10. */
  maxCrashes: number
  /** How long `close()` waits for handlers to react to their signal, in milliseconds. Default 1,000. */
  abortGrace: number
  /** How long a handler may keep running after its attempt has ended before this is reported, in milliseconds. Default 10,000. */
  handlerGrace: number
  /** How many handlers that exceed `handlerGrace` make health checks report a problem. Default 10. */
  maxStuckHandlers: number
  /**
   * How long a job waits for a worker if the process that claims it has none, in milliseconds, for example while two versions run side by
   * side. After that time the job fails with `WORKER_UNKNOWN`. Steps of flows wait without a limit. Default 600,000 (ten minutes).
   */
  workerWait: number
}

/** A handler that still runs and keeps its slot although its attempt has ended. */
export interface StuckHandler {
  id: string
  queue: string
  name: string
  runId: string
  /** The id of its worker. */
  worker: string
  /** When its attempt ended, in milliseconds since the epoch. */
  since: number
}
/**
 * The sections of the configuration that plugins read, by their `configKey`. Those of this package are declared, and a plugin declares
 * its own by declaration merging. A section that nothing declares may have any type.
 *
 * @example
 * declare module 'nuxt-queue/kernel' {
 *   interface PluginSections { slowLog?: { limit?: number } }
 * }
 */
export interface PluginSections {}
/** The configuration as users write it. Each plugin reads the section under its `configKey`. */
export type KernelConfig = Partial<CoreConfig> & PluginSections & Record<string, unknown>
export type ResolvedConfig = CoreConfig & Record<string, unknown>

/** The kernel as plugins and applications hold it. Plugins add members with `extend` and declaration merging. */
export interface Kernel extends Enqueue {
  readonly config: ResolvedConfig
  readonly clock: Clock
  readonly registry: Registry
  readonly reporter: Reporter
  /** The runtimes by name. */
  readonly runtimes: ReadonlyMap<string, Runtime>
  /** Registers a middleware on one of the five hooks. Returns a function that unregisters it. */
  hook<Name extends HookName>(
    name: Name,
    handler: HookHandler<KernelHooks[Name]>,
    options?: HookOptions<KernelHooks[Name]>,
  ): () => void
  /** Makes an implementation of a port available. @throws QueueError `PORT_DUPLICATE` */
  provide<Name extends keyof Ports>(port: Name, implementation: Ports[Name]): void
  /** Returns the implementation of a port. @throws QueueError `PORT_MISSING` */
  port<Name extends keyof Ports>(port: Name): Ports[Name]
  hasPort(port: keyof Ports): boolean
  /** Adds members to the kernel. @throws QueueError `PORT_DUPLICATE` when a member of that name exists */
  extend(members: Partial<Kernel>): void
  /**
   * Adds a worker, and starts it if the kernel has started. With `replace`, it replaces the worker with the same id, starting with the next
   * job. A refused worker changes nothing.
   *
   * @throws QueueError `WORKER_DUPLICATE`, `WORKER_INVALID`, `OPTION_INVALID`; errors of plugins that check its config, such as
   * `SCHEDULE_INVALID`
   */
  registerWorker<const C extends WorkerConfig = WorkerConfig>(
    worker: WorkerInput<C>,
    options?: { replace?: boolean },
  ): Promise<WorkerDefinition>
  unregisterWorker(id: string): Promise<void>
  /**
   * Calls back for each worker that is about to start. A rejection makes `start()` or `registerWorker()` reject, and the
   * worker is not registered.
   */
  onWorkerStart(callback: (worker: WorkerDefinition) => MaybePromise<void>): void
  /** Calls back for each worker that is removed or whose start failed. */
  onWorkerStop(callback: (worker: WorkerDefinition) => void): void
  /**
   * Appends your own events to a stream, through the `emit` hook. Handlers have `ctx.emit`.
   *
   * @throws QueueError `NAME_RESERVED` for types and keys of this package, which plugins write through `PluginKernel`
   */
  emit(stream: string, events: EventDraft[], options?: AppendOptions, ctx?: RunContext): MaybePromise<AppendResult>
  /** Folds events into a state through the `reduce` hook. */
  reduce(payload: ReducePayload): MaybePromise<void>
  /** Ends the attempts of a run, or of one of its jobs, that are running in this process. */
  abort(target: { runId: string; jobId?: string }, error: Error): void
  /** Returns the handlers of this process that still run `handlerGrace` after their attempts have ended. */
  stuckHandlers(): StuckHandler[]
  newId(): string
  /** Starts consuming. Without it the kernel only produces. */
  start(): Promise<void>
  /**
   * Stops claiming jobs, waits for running jobs, aborts the remaining ones after `timeout` milliseconds (default 10,000),
   * and tears plugins down in reverse order. Resolves with the jobs that it aborted.
   */
  close(options?: { timeout?: number }): Promise<CloseReport>
}

/** The jobs that `close()` had to abort. Durable adapters deliver them again. */
export interface CloseReport {
  aborted: { queue: string; name: string; id: string; runId: string }[]
}

// Contexts are declared before kernels, so the kernel adds itself to the context by declaration merging.
declare module 'nuxt-queue/kernel' {
  interface RunContext {
    readonly kernel: Kernel
  }
}
