import type { RunInfo, RunOutcome, SerializedError } from '../../../kernel/index.ts'
import type { WaitRecord, WaitResult } from '../../flow/lib/wait-record.ts'

/**
 * The course of a run, in a form for people. All times are milliseconds since the epoch, and all durations are in
 * milliseconds.
 */
export interface Timeline {
  run: RunInfo
  /** The input of a flow. */
  input?: unknown
  /** For a fork: the original run, and the `seq` up to which it was copied. Copied events have the time of the copy. */
  forkedFrom?: { runId: string; at: number }
  /** The time from the start of the run to its end or its newest event. */
  duration: number
  /** The jobs, in the order of their creation. */
  jobs: TimelineJob[]
}

export interface TimelineJob {
  jobId: string
  /** The step of the job in its flow, or the name of the job. */
  step: string
  queue?: string
  /** `waiting`: the job has run, and will run again after a wait, a failure or a limit. */
  status: 'queued' | 'running' | 'waiting' | RunOutcome
  /** Set if the job ended in the original run, and this run is a fork. */
  copied?: true
  queuedAt?: number
  startedAt?: number
  endedAt?: number
  /** The time from entering the queue to the first start. */
  queued?: number
  /** The time from the first start to the end. */
  duration?: number
  /** One entry for each time that a worker received the job. */
  attempts: TimelineAttempt[]
  waits: TimelineWait[]
  /** The sub-steps that ended in `ctx.step.run`. */
  subSteps: { name: string; at: number; error?: SerializedError }[]
  emits: { event: string; at: number }[]
  children: TimelineChild[]
  /** The number of log entries by level. */
  logs: Record<string, number>
  result?: unknown
  error?: SerializedError
  /** Why the job was cancelled. */
  reason?: string
}

export interface TimelineAttempt {
  /** The number of the attempt. It counts failures, so it repeats after a deferral or a crash. */
  attempt: number
  startedAt: number
  /** Absent while the attempt runs, and if it was lost. */
  endedAt?: number
  duration?: number
  /** `deferred`: the job returned to its queue without a failure. `lost`: a worker received the job again before the attempt had ended. */
  outcome: 'running' | 'deferred' | 'lost' | RunOutcome
  error?: SerializedError
  /** When the job runs again after a failure or a deferral. */
  nextAt?: number
}

export interface TimelineWait extends Pick<WaitRecord, 'name' | 'mode' | 'parts' | 'until'> {
  startedAt: number
  /** Absent while the job waits, and if the job ended before the wait. */
  endedAt?: number
  duration?: number
  timedOut?: boolean
  payload?: WaitResult['payload']
}

/** A run that a job started. */
export interface TimelineChild {
  runId: string
  flow: string
  /** Whether the job waits for the end of the run. */
  waits: boolean
  startedAt: number
  /** Absent if the run is deeper than the requested depth, or cannot be found. */
  timeline?: Timeline
}
