import type { QueueView } from '../../../lib/rest-types.ts'
import type { WorkerLimits } from '../../../../lib/worker-limits.ts'
import type {
  JobRecord,
  JobState,
  RunInfo,
  RunOutcome,
  SerializedError,
  StoredEvent,
} from '../../../../../kernel/index.ts'

/* The parts of the responses of the routes that the pages show. Moments are milliseconds since the epoch. */

export type { JobState } from '../../../../../kernel/index.ts'
export type RunState = RunOutcome | 'running'
export type Run = RunInfo
export type RunEvent = StoredEvent
export type FailureInfo = SerializedError & { details?: unknown }

export const JOB_STATES = [
  'waiting',
  'delayed',
  'active',
  'completed',
  'failed',
  'cancelled',
] as const satisfies JobState[]
export const RUN_STATES = ['running', 'completed', 'failed', 'cancelled'] as const satisfies RunState[]

/** A job as the API returns it, without absent members. */
export type Job = Omit<JobRecord, 'options' | 'flow'> & {
  options?: JobRecord['options'] & { delay?: number }
  flow?: JobRecord['flow']
}

export type Queue = QueueView

export interface Reason {
  code: string
  sentence: string
  until?: number
  error?: FailureInfo
}

export interface Worker {
  id: string
  queue: string
  name: string
  runtime: string
  concurrency: number
  limits?: WorkerLimits
  started: boolean
  flows: readonly { flow: string; role: string; step: string }[]
}

/** A worker of a running process. Processes of older versions report less. */
export type InstanceWorker = Pick<Worker, 'id' | 'queue' | 'limits'> &
  Partial<Pick<Worker, 'runtime' | 'concurrency' | 'flows'>>

export interface Instance {
  id: string
  host: string
  pid: number
  version: string
  startedAt: number
  seenAt: number
  workers: readonly InstanceWorker[]
  flows: Record<string, string>
  /** Bytes. */
  memory?: number
  missing?: readonly { flow: string; step: string; runs: number }[]
}

export interface Flow {
  name: string
  version: string
  steps: readonly FlowStep[]
}

export interface FlowStep {
  step: string
  worker: string
  queue: string
  role: 'entry' | 'step' | 'compensation'
  subscribes?: unknown
  emits?: unknown
}
