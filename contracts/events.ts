/** An event as a plugin or handler appends it. `data` is plain data. */
export interface EventDraft {
  type: string
  data?: unknown
  /** Makes the append idempotent: an event whose key is in the stream is not stored again. */
  key?: string
  flow?: string
  step?: string
  stepId?: string
  attempt?: number
}

/** An immutable fact in the history of a run. */
export interface StoredEvent extends Readonly<EventDraft> {
  /** The position in the stream: 1, 2, 3, … without gaps. */
  readonly seq: number
  /** `<runId>:<seq>`. */
  readonly id: string
  /** Milliseconds since the epoch, assigned by the store. They never decrease within a stream. */
  readonly ts: number
  readonly runId: string
}

export type RunOutcome = 'completed' | 'failed' | 'cancelled'

/** An entry of the run index. */
export interface RunInfo {
  runId: string
  status: RunOutcome | 'running'
  /** Job name of a plain run, flow name of a flow. */
  name: string
  queue?: string
  jobId?: string
  flow?: string
  /** Tags to find the run by, without duplicates. Absent if there are none. */
  tags?: readonly string[]
  /** Milliseconds since the epoch. */
  startedAt: number
  updatedAt: number
  endedAt?: number
  /** `seq` of the newest event. */
  head: number
}

/** What an append changes in the run index, atomically with the events. New tags replace the earlier ones; `[]` removes all tags. */
export type RunPatch = Partial<Pick<RunInfo, 'status' | 'name' | 'queue' | 'jobId' | 'flow' | 'tags'>>

/**
 * The end of a job that is settled together with the append that stores it, if queue and events share a database. Log first still
 * holds: the settlement takes effect only if the append was accepted, and in that case after it.
 */
export interface Ending {
  /** The key of the terminal event. */
  readonly key: string
  /** The connection of the queue. An event store with another connection ignores the ending. */
  readonly store: object
  /**
   * The event store calls it in the call stack in which it sends the append, with the terminal event and with what identifies the
   * append in the database.
   */
  sent(end: EventDraft, receipt: unknown): void
}

export interface AppendOptions {
  /** Store nothing if an event with this key is in the stream. */
  unless?: string
  /** Store nothing if a larger token has been used for this job in this stream. */
  fence?: { job: string; token: number }
  /** Store nothing unless this is the `seq` of the newest event (0: an empty stream). */
  expectedSeq?: number
  /** Append even if the run has ended, and reopen it. */
  reopen?: boolean
  run?: RunPatch
  /** The job that ends with this append. A store that does not share its database with the queue ignores it. */
  ending?: Ending
}

/**
 * The result of an append: the stored events, without events whose key was already in the stream; or the reason why nothing was stored.
 * If several reasons apply, the first in the order `unless`, `ended`, `fence`, `expectedSeq` is returned.
 */
export type AppendResult =
  | { ok: true; events: readonly StoredEvent[]; head: number }
  | { ok: false; reason: 'unless' | 'fence' | 'expectedSeq' | 'ended'; head: number }
export type AppendRefusal = Extract<AppendResult, { ok: false }>

export interface ReadOptions {
  /** Only events with a larger `seq`. Default 0. */
  after?: number
  /** Only events up to this `seq`, or up to this moment. */
  until?: number | Date
  types?: readonly string[]
  /** The maximum number of events. Default: no limit. */
  limit?: number
  /** Newest first. Default false. */
  reverse?: boolean
}

/** A message that is not stored: progress, client events, control. */
export interface StreamMessage {
  type: string
  data?: unknown
}

export interface SubscribeOptions {
  /** Replay what is stored after this `seq` (for `'*'`: this cursor), then follow. Default: follow only. */
  after?: number | string
  /** Also receives published messages, with the stream that each was published to. */
  onMessage?: (message: StreamMessage, stream: string) => void
}

/** Which runs to list, newest first. */
export interface RunFilter extends Partial<Pick<RunInfo, 'status' | 'flow' | 'name' | 'queue'>> {
  /** Only runs with this tag. Uses an index. */
  tag?: string
  /** Only runs that started before this moment, in milliseconds since the epoch. */
  startedBefore?: number
  /**
   * Returns the page after this run, the last run of the previous page. Also works if many runs started in the same millisecond. If the run
   * has expired in the meantime, runs from the same millisecond are returned again.
   */
  after?: Pick<RunInfo, 'runId' | 'startedAt'>
  /** Leaves out runs on queues that start with `_`. Default false. */
  hideInternal?: boolean
  /** Default 100. */
  limit?: number
}

/** Selects the ended runs or jobs to remove: the ones that exceed `endedBefore` or `keep`. */
export interface ExpirePolicy {
  outcome: RunOutcome
  /** Runs or jobs that ended before this moment, in milliseconds since the epoch. */
  endedBefore: number
  /**
   * The maximum number that is kept for each outcome. `keepSince` may keep more. Queues of the engine, which begin with `_`, are counted
   * separately.
   */
  keep: number
  /**
   * Protects recent runs or jobs from `keep`: if they ended at or after this moment, in milliseconds since the epoch, the count does not
   * remove them. `endedBefore` still applies. Default: nothing is protected.
   */
  keepSince?: number
}

/** Selects the ended jobs to remove, and says how long their ids are remembered. */
export interface CleanPolicy extends ExpirePolicy {
  /** How long the id of a job stays known after the job ends, in milliseconds, if a caller chose the id. Default 0. */
  rememberFor?: number
}

/** A stream, and the newest event of it that the caller knows. */
export interface StreamHead {
  stream: string
  /** `seq` of its newest event. */
  seq: number
}

export interface Snapshot {
  /** Name and version of the fold that created it. */
  reducer: string
  seq: number
  state: unknown
}
