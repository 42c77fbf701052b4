/** What a plugin or handler appends. `data` is plain data. */
export interface EventDraft {
  type: string
  data?: unknown
  /** Idempotency: an event whose key is in the stream is not stored again. */
  key?: string
  flow?: string
  step?: string
  stepId?: string
  attempt?: number
}

/** An immutable fact in the history of a run. */
export interface StoredEvent extends Readonly<EventDraft> {
  /** Gapless, starting at 1 in each stream. */
  readonly seq: number
  /** `<runId>:<seq>`. */
  readonly id: string
  /** Milliseconds since the epoch, given by the store, never decreasing within a stream. */
  readonly ts: number
  readonly runId: string
}

export type RunOutcome = 'completed' | 'failed' | 'cancelled'

/** One line of the run index. */
export interface RunInfo {
  runId: string
  status: RunOutcome | 'running'
  /** Job name of a plain run, flow name of a flow. */
  name: string
  queue?: string
  jobId?: string
  flow?: string
  /** Words to find it by, each once; absent when there are none. */
  tags?: readonly string[]
  /** Milliseconds since the epoch. */
  startedAt: number
  updatedAt: number
  endedAt?: number
  /** `seq` of the newest event. */
  head: number
}

/** What an append changes in the run index, atomically with the events. Tags take the place of those before; `[]` removes them. */
export type RunPatch = Partial<Pick<RunInfo, 'status' | 'name' | 'queue' | 'jobId' | 'flow' | 'tags'>>

export interface AppendOptions {
  /** Store nothing if an event with this key is in the stream. */
  unless?: string
  /** Store nothing if a larger token has been used for this job in this stream. */
  fence?: { job: string; token: number }
  /** Store nothing unless this is the `seq` of the newest event (0: an empty stream). */
  expectedSeq?: number
  /** Append although the run has ended, and open it again. */
  reopen?: boolean
  run?: RunPatch
}

/**
 * Stored with consecutive `seq`s, those without a known key; or nothing stored, and why. Of several
 * reasons the first of `unless`, `ended`, `fence`, `expectedSeq` is told.
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
  /** At most this many. Default: all. */
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
  /** Also receives what is published, with the stream it was published to. */
  onMessage?: (message: StreamMessage, stream: string) => void
}

/** Which runs to list, newest first. */
export interface RunFilter extends Partial<Pick<RunInfo, 'status' | 'flow' | 'name' | 'queue'>> {
  /** Only runs that carry it. Found by an index. */
  tag?: string
  /** Only runs that started before this moment, in milliseconds since the epoch. */
  startedBefore?: number
  /**
   * The next page: only runs behind this one, the last of the page before, also where many started in
   * one millisecond. Is it forgotten meanwhile, those of its millisecond come again and none is left out.
   */
  after?: Pick<RunInfo, 'runId' | 'startedAt'>
  /** Leaves out runs on queues that start with `_`. Default false. */
  hideInternal?: boolean
  /** Default 100. */
  limit?: number
}

/** Which ended runs or jobs may go: each that passes one of the two bounds, `endedBefore` or `keep`. */
export interface ExpirePolicy {
  outcome: RunOutcome
  /** Those that ended before this moment, in milliseconds since the epoch. */
  endedBefore: number
  /**
   * How many of the outcome stay at most; more do where `keepSince` holds them. Those on queues of the engine's own,
   * which begin with `_`, are counted apart: so many of either stay.
   */
  keep: number
  /**
   * Protects recent ends from `keep`: whatever ended at or after this moment, in milliseconds since the epoch, is not
   * forgotten because of its number. `endedBefore` still applies. Default: nothing is protected.
   */
  keepSince?: number
}

/** Which ended jobs may go, and what stays known of them. */
export interface CleanPolicy extends ExpirePolicy {
  /** Milliseconds from the end of a job in which its id stays known, where a caller gave it. Default 0. */
  rememberFor?: number
}

/** A stream as far as somebody knows it. */
export interface StreamHead {
  stream: string
  /** `seq` of its newest event. */
  seq: number
}

export interface Snapshot {
  /** Name and version of the fold that made it. */
  reducer: string
  seq: number
  state: unknown
}
