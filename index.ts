import { createKernel as createBareKernel, type Kernel, type KernelOptions } from './kernel/index.ts'
import { resolveConfig, type QueueConfig } from './presets/config.ts'

export * from './kernel/index.ts'
// Naming the plugins' types here also brings their additions to the kernel's types along.
export type { Alert, AlertFacts, AlertItem, AlertRule, AlertsConfig } from './plugins/observability/alerts/index.ts'
export type { Batch } from './plugins/jobs/batch/index.ts'
export type { BulkAction, BulkHandle, BulkOptions, BulkReason, BulkReport } from './plugins/jobs/bulk/index.ts'
export type { BusEvent, SendOptions } from './plugins/flow/bus/index.ts'
export type { CleanOptions, Control, JobControls, QueueHandle, QueueNotice } from './plugins/jobs/control/index.ts'
export type { Debounce } from './plugins/jobs/debounce/index.ts'
export type { JobExpiry } from './plugins/jobs/expiry/index.ts'
export type { Explanation, Reason, ReasonCode } from './plugins/observability/explain/index.ts'
export type { Fairness } from './plugins/jobs/fairness/index.ts'
export type {
  FlowContext,
  FlowHandle,
  FlowOptions,
  ForkOptions,
  RerunOptions,
  StartOptions,
} from './plugins/flow/flow/index.ts'
export type {
  AnyCheck,
  AnyQuery,
  AnyUpdate,
  MessageInfo,
  QueryContext,
  QueryDefinition,
  SignalOptions,
  UpdateCheck,
  UpdateContext,
  UpdateDefinition,
  UpdateOptions,
} from './plugins/flow/run-messages/index.ts'
export type { DiagnosisCheck, OwnStreams } from './plugins/observability/doctor/index.ts'
export type { Timeline, TimelineJob } from './plugins/observability/history/index.ts'
export type {
  Authorize,
  Health,
  Http,
  HttpAction,
  Listening,
  ListenOptions,
  Mounted,
  Problem,
} from './plugins/integrations/http/index.ts'
export type { InstanceInfo } from './plugins/observability/instances/index.ts'
export type { ErrorExample, ErrorFilter, ErrorGroup, ErrorStatus } from './plugins/observability/errors/index.ts'
export type { AuditEntry, AuditQuery } from './plugins/observability/audit/index.ts'
export type { Stats, StatsPoint, StatsQuery } from './plugins/observability/stats/index.ts'
export type {
  DeadLetter,
  JobOptionInfo,
  JobOptionSources,
  Redriven,
  RedriveOptions,
} from './plugins/jobs/job-options/index.ts'
export type { SharedConcurrency } from './plugins/jobs/limits/index.ts'
export type { LogLevel, RunLogger } from './plugins/context/logger/index.ts'
export type { ProgressMessage } from './plugins/context/progress/index.ts'
export type { ExecOptions } from './plugins/runtimes/exec/index.ts'
export type { IsolatedOptions } from './plugins/runtimes/isolated/index.ts'
export type { Schedule, ScheduleInfo, ScheduleOption } from './plugins/flow/schedule/index.ts'
export type { Search } from './plugins/jobs/search/index.ts'
export type { RunState } from './plugins/context/state/index.ts'
export type { EventWait, SubSteps } from './plugins/flow/step/index.ts'
export type {
  ClientChannel,
  ClientMessage,
  ClientOption,
  ClientSendOptions,
  FollowOptions,
  StreamFollower,
  Streams,
} from './plugins/context/streaming/index.ts'
export type { Throttle } from './plugins/jobs/throttle/index.ts'
export type {
  TriggerDefinition,
  TriggerEvent,
  TriggerInfo,
  TriggerRecord,
  TriggerSubscription,
  Verify,
  WebhookFacts,
} from './plugins/flow/triggers/index.ts'
export type { CancellableJob, CancelOn } from './plugins/flow/cancel-on/index.ts'
export type { FailedJob, JobFailure } from './plugins/jobs/on-failure/index.ts'
export type { Unique } from './plugins/jobs/unique/index.ts'
export type { Upcast, UpcastEvent, UpcastTable } from './plugins/context/upcast/index.ts'
export type { AwaitOptions, AwaitPart, AwaitRegistration, AwaitResult } from './plugins/flow/wait/index.ts'
export type { Webhooks } from './plugins/flow/webhooks/index.ts'
export { defineConfig, type QueueConfig } from './presets/config.ts'

export interface CreateKernelOptions extends Omit<KernelOptions, 'preset' | 'config'> {
  /** A preset's name, or a preset of your own. Default: by the environment, `dev` in development. */
  preset?: QueueConfig['preset']
  /** What `nuxt-queue.config.ts` would hold. */
  config?: QueueConfig
  /** Whether the store of production is used if no preset is named. Default: true if `NODE_ENV` is `production`. */
  production?: boolean
}

/**
 * Builds a kernel from a preset, your plugins and your configuration. `NUXT_QUEUE_*` variables win
 * over both. It can enqueue at once and runs workers after `start()`.
 *
 * @throws QueueError `PRESET_UNKNOWN`, `CONFIG_INVALID`; the code that the setup of a plugin failed with, such as
 * `STORE_LOCKED`, and else `PLUGIN_SETUP_FAILED`. `plugin` names it.
 * @example
 * const kernel = await createKernel({ preset: 'dev' })
 * await kernel.start()
 * await kernel.enqueue('hello', { name: 'world' })
 * await kernel.close()
 */
export async function createKernel(options: CreateKernelOptions = {}): Promise<Kernel> {
  const { preset, plugins = [], config = {}, production, ...rest } = options
  const own = [...(config.plugins ?? []), ...plugins]
  const kernel = await createBareKernel({
    ...rest,
    ...(await resolveConfig({ ...config, plugins: own, preset: preset ?? config.preset }, { production })),
  })
  const lost = kernel.hasPort('queue') && !kernel.port('queue').capabilities.durable
  if (lost && process.env.NODE_ENV === 'production') {
    kernel.reporter.warn('This queue keeps its jobs in memory, and runs in production: they are gone with the process.')
  }
  return kernel
}
