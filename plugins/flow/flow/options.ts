/** The place of a worker in a flow, as its config tells. */
export interface FlowOptions {
  /** The flow it belongs to; several flows for a worker with the same place in each. */
  name: string | readonly string[]
  /**
   * An `entry` starts a run, a `step` is started by events, a `compensation` undoes a completed step.
   * A flow has one entry or more, of which `start(input, { entry })` then chooses one.
   */
  role: 'entry' | 'step' | 'compensation'
  /** Unique in the flow. Default: the worker's id. */
  step?: string
  /** The events that start this step. An entry may have some as well, for a loop back to it. */
  subscribes?: string | readonly string[]
  /** The events it may emit; others are refused. Default: any that a step subscribes to. */
  emits?: readonly string[]
  /**
   * With several subscriptions: `all` runs once all have arrived, a number once that many have; both
   * receive `{ event: payload }`. `any` runs once for the first one and receives its payload.
   * Default `all`.
   */
  join?: 'all' | 'any' | number
  /**
   * What becomes of the branches that `any` or a number did not wait for: `finish` lets them run to
   * their end, `cancel` stops steps whose every path leads to this join only, for which they have to
   * declare what they emit. Default `finish`.
   */
  losers?: 'finish' | 'cancel'
  /**
   * Fans in: names the event that fanned out. The step runs once after every job that those emits
   * started, directly or further on, has ended, and receives `{ event: payload[] }` of what it
   * subscribes to. None emitted by a step that declares the event: it runs with empty lists.
   */
  gather?: string
  /**
   * How often the step may run on one path through the flow; once more fails the run with
   * `FLOW_LIMIT`. A path is at most 1,000 emits long whatever is set.
   */
  limit?: number
  /**
   * When the step fails for good: `fail` fails the run, `continue` carries on without it,
   * `compensate` undoes what was completed, then fails the run. Default `fail`.
   */
  onError?: 'fail' | 'continue' | 'compensate'
  /**
   * For a compensation: the step that it undoes. It receives `{ input, result, error }`, once for each
   * time the step was completed, the last one first and one after the other.
   */
  compensates?: string
  /** For an entry: the version of the flow that runs note. Default: a hash of its steps. */
  version?: string
}

declare module 'nuxt-queue/kernel' {
  interface WorkerConfig {
    /** Makes the worker a part of a flow, or of several. */
    flow?: FlowOptions | readonly FlowOptions[]
  }
}
