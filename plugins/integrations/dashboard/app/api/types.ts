/** What the routes return, as far as the pages show it. Moments are milliseconds since the epoch. */

export const JOB_STATES = ['waiting', 'delayed', 'active', 'completed', 'failed', 'cancelled'] as const
export type JobState = (typeof JOB_STATES)[number]
export const RUN_STATES = ['running', 'completed', 'failed', 'cancelled'] as const
export type RunState = (typeof RUN_STATES)[number]

export interface FailureInfo {
  name: string
  message: string
  code?: string
  stack?: string
  cause?: unknown
  details?: unknown
}

export interface Queue {
  name: string
  paused: boolean
  counts: Record<JobState, number>
}

export interface Job {
  id: string
  queue: string
  name: string
  runId: string
  state: JobState
  data?: unknown
  tags?: readonly string[]
  priority: number
  createdAt: number
  runAt: number
  attemptsMade: number
  crashes: number
  startedAt?: number
  finishedAt?: number
  progress?: number
  result?: unknown
  error?: FailureInfo
  options?: Record<string, unknown> & { attempts?: number }
  flow?: { name: string; step?: string }
}

export interface Reason {
  code: string
  sentence: string
  until?: number
  error?: FailureInfo
}

export interface Run {
  runId: string
  status: RunState
  name: string
  queue?: string
  jobId?: string
  flow?: string
  tags?: readonly string[]
  startedAt: number
  updatedAt: number
  endedAt?: number
  head: number
}

export interface RunEvent {
  id: string
  runId: string
  seq: number
  ts: number
  type: string
  data?: unknown
  key?: string
  flow?: string
  step?: string
  stepId?: string
  attempt?: number
}

export interface Worker {
  id: string
  queue: string
  name: string
  runtime: string
  concurrency: number
  started: boolean
  flows: readonly { flow: string; role: string; step: string }[]
}

export interface Instance {
  id: string
  host: string
  pid: number
  version: string
  startedAt: number
  seenAt: number
  workers: readonly { id: string; queue: string; concurrency?: number }[]
  flows: Record<string, string>
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
