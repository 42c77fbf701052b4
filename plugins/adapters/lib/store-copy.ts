import type {
  FoundJobs,
  JobRecord,
  JobSearch,
  JobState,
  MaybePromise,
  RunInfo,
  Snapshot,
  StoredEvent,
} from '../../../kernel/index.ts'
import type { QueueLimits, QueueProvider } from '../../../kernel/index.ts'

/** The end of the copy of a stream: everything of it apart from its events and snapshots. */
export interface StreamEnd {
  stream: string
  /** `seq` of the newest event. */
  head: number
  /** The `seq` up to which events were trimmed. */
  trimmed: number
  /** The entry of the run index, if the stream is a run. */
  run?: RunInfo
  /** The newest claim of each job that has appended. */
  fences: readonly (readonly [job: string, token: number])[]
  /** The keys of trimmed events, which stay known. */
  keys: readonly string[]
}

/** A part of the copy of a stream. */
export interface StreamPart {
  stream: string
  trimmed: number
  /** Events without gaps. The first one follows the newest event that the stream has, or the trimmed part of a new stream. */
  events: readonly StoredEvent[]
  snapshots?: readonly Snapshot[]
  /** Present in the last part of a stream. */
  end?: StreamEnd
}

/**
 * Reads and writes streams as they are stored. Unlike the port `events`, it keeps positions, times and fences, and no plugin wraps it, so
 * encrypted values stay encrypted.
 */
export interface EventCopies {
  /** Yields the names of all streams in pages. A name may come again. */
  streams(): AsyncIterable<readonly string[]>
  /** Returns the end of a stream, or `undefined` if there is no such stream. */
  end(stream: string): MaybePromise<StreamEnd | undefined>
  /** Returns the events after a `seq`, which is not below the trimmed part. */
  events(stream: string, after: number, limit: number): MaybePromise<readonly StoredEvent[]>
  /** Returns all snapshots of a stream, ordered by `seq`. */
  snapshots(stream: string): MaybePromise<readonly Snapshot[]>
  /**
   * Stores parts of different streams. A repeated last part changes nothing.
   *
   * @throws QueueError `EVENTS_CONFLICT` if the events of a part do not follow those of its stream
   */
  write(parts: readonly StreamPart[]): MaybePromise<void>
}

/** The id of a removed job that is still known. */
export interface RememberedId {
  queue: string
  id: string
  runId: string
  /** The moment until which the id is remembered, in milliseconds since the epoch. */
  until: number
}

/** Reads and writes jobs as they are stored, in any state. No plugin wraps it. */
export interface JobCopies {
  /** Returns the names of all queues that have jobs or limits, or are paused. */
  queues(): MaybePromise<readonly string[]>
  isPaused(queue: string): MaybePromise<boolean>
  pause(queue: string): MaybePromise<void>
  resume(queue: string): MaybePromise<void>
  getLimits(queue: string): MaybePromise<QueueLimits>
  setLimits(queue: string, limits: QueueLimits): MaybePromise<void>
  /** Returns the jobs with these ids that exist, in any order. */
  getMany(queue: string, ids: readonly string[]): MaybePromise<readonly JobRecord[]>
  /** Yields the jobs in these states in pages, oldest first. No process may use the queue. The ids of all of them are in memory. */
  jobs(queue: string, states: readonly JobState[]): AsyncIterable<readonly JobRecord[]>
  /** Returns a page of jobs, newest first by creation. The pages are complete while other processes use the queue, as for `findJobs`. */
  find(search: JobSearch): MaybePromise<Pick<FoundJobs, 'jobs' | 'next'>>
  /** Removes a job, so that `write` can store another version of it. */
  remove(queue: string, id: string): MaybePromise<unknown>
  /** Yields the remembered ids of removed jobs in pages. An id may come again. */
  remembered(): AsyncIterable<readonly RememberedId[]>
  /**
   * Stores jobs in their states, unless their ids are known. Waiting jobs wait behind the stored ones. No job is active.
   */
  write(jobs: readonly JobRecord[]): MaybePromise<void>
  remember(ids: readonly RememberedId[]): MaybePromise<void>
}

/** The states of jobs that do not run any more. */
export const ENDED: readonly JobState[] = ['completed', 'failed', 'cancelled']

/** How many jobs, or ids, a page contains. */
const PAGE = 500

/** Yields items in pages. */
export function* inPages<T>(items: readonly T[]): Generator<readonly T[], void> {
  for (let from = 0; from < items.length; from += PAGE) yield items.slice(from, from + PAGE)
}

/** The methods of the queue that `queueCalls` uses. */
export type CopiedQueue = Pick<
  QueueProvider,
  'getJob' | 'findJobs' | 'isPaused' | 'pause' | 'resume' | 'getLimits' | 'setLimits' | 'remove'
>

/** What `JobCopies` asks of the queue itself, which no plugin wraps here. */
export function queueCalls(
  provider: CopiedQueue,
): Omit<JobCopies, 'queues' | 'jobs' | 'remembered' | 'write' | 'remember'> {
  return {
    isPaused: (queue) => provider.isPaused(queue),
    pause: (queue) => provider.pause(queue),
    resume: (queue) => provider.resume(queue),
    getLimits: (queue) => provider.getLimits!(queue),
    setLimits: (queue, limits) => provider.setLimits!(queue, limits),
    async getMany(queue, ids) {
      const found = await Promise.all(ids.map((id) => provider.getJob(queue, id)))
      return found.filter((job) => job !== undefined)
    },
    find: (search) => provider.findJobs!(search),
    remove: (queue, id) => provider.remove(queue, id),
  }
}

declare module 'nuxt-queue/kernel' {
  interface Ports {
    /** Copies streams between stores. Adapters that provide `events` may provide it. */
    eventCopies: EventCopies
    /** Copies jobs between stores. Adapters that provide `queue` may provide it. */
    jobCopies: JobCopies
  }
}
