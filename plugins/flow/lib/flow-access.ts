import type { FlowMethods, RunInfo, WorkerDefinition } from '../../../kernel/index.ts'

/** The position of a run, for decisions that are stored only if nothing else was stored in the meantime. */
export interface RunPosition {
  /** `seq` of the newest event. */
  seq: number
  /** `failing`: a step has failed permanently, and the run ends or is compensated. No step starts any more. */
  status: RunInfo['status'] | 'failing'
  /** The job of the entry, which starts the steps of emits that no job makes. */
  entry: { stepId: string; step: string }
}

/** A follow-up of a write. It is called in a job that is retried, so it must be safe to repeat. */
export type FollowUp = (runId: string, key: string) => Promise<{ later: boolean }>

/** Returns the versions of a flow in the running instances. */
export type FindVersions = (flow: string) => Promise<readonly string[]>

/** For plugins: flows and their runs. */
export interface FlowAccess {
  /** Adds methods to the handles of flows. Their types are added to `FlowMethods` by declaration merging. */
  addMethods(create: (flow: string) => FlowMethods): void
  /** Returns the workers of a flow. @throws QueueError `FLOW_UNKNOWN` */
  workersOf(flow: string): readonly WorkerDefinition[]
  /** Returns the status of a run. A run that no worker has begun is `running`. @throws QueueError `RUN_NOT_FOUND` */
  statusOf(flow: string, runId: string): Promise<RunInfo['status']>
  /** Returns the position of a run, and begins it if its entry is still queued. @throws QueueError `RUN_NOT_FOUND` */
  open(flow: string, runId: string): Promise<RunPosition>
  /** Checks an event that a plugin emits for a run. @throws QueueError `FLOW_INVALID` */
  assertStarts(flow: string, event: string): void
  /** Registers the follow-up of writes that `followUp` announces. */
  onFollowUp(callback: FollowUp): void
  /** Registers the function that returns the versions of a flow in the running instances, for runs that are pinned to a version. */
  onVersions(find: FindVersions): void
  /** Announces a write, before the write, so that its follow-up runs even if this process dies. The run is then advanced too. */
  followUp(runId: string, key: string): Promise<unknown>
}
