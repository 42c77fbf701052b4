import type { RunInfo, RunOutcome, SerializedError } from '../../../kernel/index.ts'
import type { WaitRecord, WaitResult } from '../../flow/lib/wait-record.ts'

/** What happened in a run, made for people. All moments are milliseconds since the epoch, all spans milliseconds. */
export interface Timeline {
  run: RunInfo
  /** Of a flow: what it began with. */
  input?: unknown
  /** Of a fork: the run whose history up to that `seq` it has. What it has copied bears the time of the copy. */
  forkedFrom?: { runId: string; at: number }
  /** From its start to its end, or to its newest event. */
  duration: number
  /** In the order in which they came into being. */
  jobs: TimelineJob[]
}

export interface TimelineJob {
  jobId: string
  /** Its step in a flow, or its name. */
  step: string
  queue?: string
  /** `waiting`: it has run and will again, after a wait, a failure or for the sake of a limit. */
  status: 'queued' | 'running' | 'waiting' | RunOutcome
  /** Ended in the run that this one is a fork of. */
  copied?: true
  queuedAt?: number
  startedAt?: number
  endedAt?: number
  /** From the queue to its first start. */
  queued?: number
  /** From its first start to its end. */
  duration?: number
  /** Every time it was handed out. */
  attempts: TimelineAttempt[]
  waits: TimelineWait[]
  /** What it finished in `ctx.step.run`. */
  subSteps: { name: string; at: number; error?: SerializedError }[]
  emits: { event: string; at: number }[]
  children: TimelineChild[]
  /** How many entries it has logged, by level. */
  logs: Record<string, number>
  result?: unknown
  error?: SerializedError
  /** Why it was cancelled. */
  reason?: string
}

export interface TimelineAttempt {
  /** Counts failures of the handler: the same number again went on after a deferral, or after a crash. */
  attempt: number
  startedAt: number
  /** Absent while it runs, and when it was lost. */
  endedAt?: number
  duration?: number
  /** `deferred`: given back without a failure. `lost`: handed out again without having ended. */
  outcome: 'running' | 'deferred' | 'lost' | RunOutcome
  error?: SerializedError
  /** When it goes on after a failure or a deferral. */
  nextAt?: number
}

export interface TimelineWait extends Pick<WaitRecord, 'name' | 'mode' | 'parts' | 'until'> {
  startedAt: number
  /** Absent while it waits, and when its job ended without it. */
  endedAt?: number
  duration?: number
  timedOut?: boolean
  payload?: WaitResult['payload']
}

/** A run that a job has started. */
export interface TimelineChild {
  runId: string
  flow: string
  /** Whether the job waits for its end. */
  waits: boolean
  startedAt: number
  /** Absent below the depth asked for, and when it is not to be found. */
  timeline?: Timeline
}
