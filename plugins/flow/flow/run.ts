import { hash } from 'node:crypto'
import { fitText, type FlowStart, type SerializedError } from '../../../kernel/index.ts'

/** The longest path through a flow, in emits: a loop that nobody limits ends here. */
export const MAX_DEPTH = 1000

/** One job of a run, as its events tell. */
export interface Instance {
  /** Its job id. */
  id: string
  step: string
  /** `due`: something caused it, `queued`: that is on record, `open`: it has started. */
  status: 'due' | 'queued' | 'open' | 'ended'
  /** Names the emit that caused it; absent for an entry that was started from outside. */
  cause: string | undefined
  /** How many emits lie behind it. */
  depth: number
  /** How often its path has been through each step that has a limit. */
  visits: ReadonlyMap<string, number>
  /** What its job receives; forgotten once it has ended, unless it can be undone. */
  data: unknown
  /** The branches of fan-outs it descends from, outermost first. */
  lineage: readonly Branch[]
  /** What it has fanned out. */
  groups: Map<string, Group> | undefined
  /** Begun in the run that this one is a fork of, which may have left parts of it on record. */
  forked?: boolean
}

/** What one job fanned out with one event. */
export interface Group {
  event: string
  cause: string
  parent: Instance
  /** Jobs in it that have not ended. */
  open: number
  /** No more will come: the job that fans out has ended. */
  closed: boolean
  /** What its jobs emitted for the steps that gather it, by step and event. */
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
  /** Steps whose work is not waited for any more, where losers are cancelled. */
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

/** Everything the engine decides by, derived from the log alone. */
export interface FlowRun {
  flow: string | undefined
  /** The version of the flow it began on. */
  version: string | undefined
  start: FlowStart
  /** It is a fork, the copy of which is not complete: nothing of it may start. */
  copying: boolean
  outcome: 'completed' | 'failed' | 'cancelled' | undefined
  instances: Map<string, Instance>
  /** Instances that have not ended. */
  open: Set<Instance>
  /** Those of them whose cause is not on record yet. */
  due: Set<Instance>
  /** Those of them that a join has decided against. */
  losing: Set<Instance>
  /** The first step that failed for good. */
  failure: Failure | undefined
  /** What the last completed step returned. */
  result: unknown
  /** Why its entry was cancelled before it had begun: nothing has happened in it. */
  cancelled: string | undefined
  joins: Map<string, Join>
  /** Completed steps that can be undone, in the order they were completed. */
  undo: Undo[]
  compensating: boolean
  /** Compensations that were completed, and those that failed. */
  compensated: string[]
  uncompensated: string[]
  /** Runs that jobs of it have started and wait for, with their flows and those jobs. */
  children: Map<string, { flow: string; jobId: string }>
  /** Keys under which jobs wait for its end that have not started it. */
  listeners: string[]
}

export function createFlowRun(): FlowRun {
  return {
    flow: undefined,
    version: undefined,
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
  /** Tells the emits of one job apart, the same for each attempt. */
  n: string
}

export interface StartedData extends FlowStart {
  input: unknown
  step: string
  version: string
  /** When whoever started the run was told that it is: milliseconds since the epoch. Absent in forks. */
  acknowledgedAt?: number
  /** The run whose history up to that `seq` it has. */
  forkedFrom?: { runId: string; at: number }
}

/** Data of `flow.child`. */
export interface ChildData {
  runId: string
  flow: string
  wait: boolean
  /** The name of the wait for it. Before there was this member it was the flow and a number. */
  as?: string
}

/** Data of `flow.awaited`. */
export interface AwaitedData {
  key: string
  /** The job that waits. */
  jobId: string
}

/** Job ids derive from what causes a step, so that doing it twice is doing it once. */
export function instanceId(runId: string, step: string, cause?: string): string {
  return fitText(cause === undefined ? `${runId}.${step}` : `${runId}.${step}.${cause}`)
}

/**
 * Names what a job caused, within its run. The run's own id is left out, so that a fork of a run finds
 * the same causes.
 */
export function causeOf({ step, cause = '' }: { step: string; cause?: string | undefined }, n: string): string {
  return hash('sha1', `${step}.${cause} ${n}`, 'base64url').slice(0, 14)
}
