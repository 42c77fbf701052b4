/** The role of a worker in a flow. */
export interface FlowOptions {
  /** The flow of the worker, or several flows in which it has the same role. */
  name: string | readonly string[]
  /**
   * An `entry` starts a run, events start a `step`, and a `compensation` undoes a completed step.
   * A flow has one or more entries; `start(input, { entry })` chooses among several.
   */
  role: 'entry' | 'step' | 'compensation'
  /** Unique in the flow. Default: the worker's id. */
  step?: string
  /** The events that start this step. An entry may subscribe too, so that a loop can lead back to it. */
  subscribes?: string | readonly string[]
  /** The events that the step may emit. Other events are refused. Default: any event that a step subscribes to. */
  emits?: readonly string[]
  /**
   * For several subscriptions. `all` runs once all events have arrived; a number runs once that many have arrived.
   * Both receive `{ event: payload }`. `any` runs once for the first event and receives its payload. Default `all`.
   */
  join?: 'all' | 'any' | number
  /**
   * What happens to the branches that `any` or a number did not wait for. `finish` lets them run to their end.
   * `cancel` stops the steps from which every path leads to this join; these steps have to declare `emits`. Default `finish`.
   */
  losers?: 'finish' | 'cancel'
  /**
   * Fan-in: the name of the event that fanned out. The step runs once, after every job that descends from those emits
   * has ended. It receives `{ event: payload[] }` with the events it subscribes to. If a step declares the event and
   * never emits it, this step runs with empty lists.
   */
  gather?: string
  /**
   * How often the step may run on one path through the flow. A further repetition fails the run with `FLOW_LIMIT`. A path is
   * at most 1,000 emits long, regardless of this option.
   */
  limit?: number
  /**
   * What happens when the step fails permanently. `fail` fails the run, `continue` continues the run without the step,
   * `compensate` undoes the completed steps and then fails the run. Default `fail`.
   */
  onError?: 'fail' | 'continue' | 'compensate'
  /**
   * For a compensation: the step that it undoes. It runs once for each completion of that step, one at a time and the
   * latest first, and receives `{ input, result, error }`.
   */
  compensates?: string
  /** For an entry: the version of the flow, which each run records. Default: a hash of its steps. */
  version?: string
  /**
   * For an entry: with `true`, a run stays on the version of the flow with which it began. Instances with another version return its jobs
   * to their queues as long as an instance with that version runs. After that, every instance continues the run. Default `false`.
   */
  pin?: boolean
}

declare module 'nuxt-queue/kernel' {
  interface JobFlow {
    /** The number of emits between the entry and this step. Default 0. */
    depth?: number
    /** True in a fork whose history contains sub-steps of this job that another run has executed. */
    forked?: boolean
    /** True if the caller chose the id of the run, so that starting it twice counts once. */
    named?: boolean
    /** True if the run stays on the version of the flow with which it began, as long as an instance with that version runs. */
    pin?: boolean
  }
  interface WorkerConfig {
    /** Makes the worker a part of one or more flows. */
    flow?: FlowOptions | readonly FlowOptions[]
  }
}
