import { hash } from 'node:crypto'
import { fitText, type FlowStart, type SerializedError } from '../../../kernel/index.ts'

/** The longest path through a flow, in emits. A loop without a limit ends there. */
export const MAX_DEPTH = 1000

/**
 * One job of a run, derived from the events of the run.
 *
 * ```
 *   emit, flow.started          step.queued           step.started
 *  ────────────────────▶  due ─────────────▶ queued ──────────────▶ open
 *                          │                    │                    │
 *                          └────────────────────┴────────────────────┘
 *                                               │ step.completed, step.failed, step.cancelled
 *                                               ▼
 *                                             ended
 * ```
 */
export interface Instance {
  /** The id of its job. */
  id: string
  step: string
  status: 'due' | 'queued' | 'open' | 'ended'
  /** Identifies the emit that caused it. Absent for an entry that was started from outside. */
  cause: string | undefined
  /** The number of emits on its path. */
  depth: number
  /** How often its path has passed through each step that has a limit. */
  visits: ReadonlyMap<string, number>
  /** The data of its job. Dropped when the job ends, unless a compensation may need it. */
  data: unknown
  /** The branches of fan-outs it descends from, outermost first. */
  lineage: readonly Branch[]
  /** The groups that it has fanned out, by event. */
  groups: Map<string, Group> | undefined
  /** The job began in the original run of this fork, so some of its sub-steps may be recorded already. */
  forked?: boolean
}

/** The jobs that descend from all emits of one event by one job. */
export interface Group {
  event: string
  cause: string
  parent: Instance
  /** How many of its jobs have not ended. */
  open: number
  /** True when no more jobs can join, because the job that fans out has closed the group. */
  closed: boolean
  /** Payloads that its jobs emitted for the steps that gather it, by step and event. */
  gathered: Map<string, Map<string, unknown[]>>
}

/** One emit of a group. */
export interface Branch {
  group: Group
  cause: string
}

interface Join {
  step: string
  /** Payloads by event. */
  arrived: Map<string, unknown>
  fired: boolean
  /** Steps whose work is useless now that the join has run. Set if losers are cancelled. */
  losers: ReadonlySet<string> | undefined
}

interface Failure {
  step: string
  error: SerializedError
  compensate: boolean
}

/** A completed step that can be undone. */
interface Undo {
  instance: Instance
  result: unknown
}

/** The state of a run on which the engine bases its decisions. Derived from the log alone. */
export interface FlowRun {
  flow: string | undefined
  /** The version of the flow when the run began. */
  version: string | undefined
  /** Whether the run stays on that version. */
  pin: boolean
  start: FlowStart
  /** True for a fork whose copy is not complete. No step may start before the copy is complete. */
  copying: boolean
  outcome: 'completed' | 'failed' | 'cancelled' | undefined
  instances: Map<string, Instance>
  /** Instances that have not ended. */
  open: Set<Instance>
  /** The open instances with status `due`. */
  due: Set<Instance>
  /** The open instances whose work is useless, because a join ran without them. */
  losing: Set<Instance>
  /** The first step that failed permanently. */
  failure: Failure | undefined
  /** The result of the last completed step. */
  result: unknown
  /** The reason why its entry was cancelled before it began. Such a run ends as cancelled. */
  cancelled: string | undefined
  joins: Map<string, Join>
  /** Completed steps that can be undone, in the order of their completion. */
  undo: Undo[]
  compensating: boolean
  /** Compensations that completed, and compensations that failed. */
  compensated: string[]
  uncompensated: string[]
  /** Runs that jobs of this run have started and wait for, by run id. */
  children: Map<string, { flow: string; jobId: string }>
  /** Event keys for jobs that wait for the end of this run without having started it. */
  listeners: string[]
}

export function createFlowRun(): FlowRun {
  return {
    flow: undefined,
    version: undefined,
    pin: false,
    start: {},
    copying: false,
    outcome: undefined,
    instances: new Map(),
    open: new Set(),
    due: new Set(),
    losing: new Set(),
    failure: undefined,
    result: undefined,
    cancelled: undefined,
    joins: new Map(),
    undo: [],
    compensating: false,
    compensated: [],
    uncompensated: [],
    children: new Map(),
    listeners: [],
  }
}

export interface EmitData {
  event: string
  payload: unknown
  /** Distinguishes the emits of one job. It is the same in each attempt. */
  n: string
}

export interface StartedData extends FlowStart {
  input: unknown
  step: string
  version: string
  /** True if the run stays on this version. */
  pin?: boolean
  /** The moment at which the start of the run was acknowledged, in milliseconds since the epoch. Absent in forks. */
  acknowledgedAt?: number
  /** The original run, and the `seq` up to which the fork has its history. */
  forkedFrom?: { runId: string; at: number }
}

/** Data of `flow.child`. */
export interface ChildData {
  runId: string
  flow: string
  wait: boolean
  /** The name of the wait for it. Events of earlier releases lack it; their name is the flow and a number. */
  as?: string
}

/** Data of `flow.awaited`. */
export interface AwaitedData {
  key: string
  /** The job that waits. */
  jobId: string
}

/** Returns the job id of a step. It derives from the cause of the step, so that a repeated start has no effect. */
export function instanceId(runId: string, step: string, cause?: string): string {
  return fitText(cause === undefined ? `${runId}.${step}` : `${runId}.${step}.${cause}`)
}

/**
 * Identifies an emit of a job within its run. It does not depend on the id of the run, so that a fork computes the
 * same causes.
 */
export function causeOf({ step, cause = '' }: { step: string; cause?: string | undefined }, n: string): string {
  return hash('sha1', `${step}.${cause} ${n}`, 'base64url').slice(0, 14)
}
