import type { JobRecord, JobState } from './job.ts'

/** A value in the data of a job that a search can compare. */
export type SearchedValue = string | number | boolean | null

/** Selects jobs. A job matches if it matches every member. */
export interface JobFilter extends Partial<Pick<JobRecord, 'id' | 'queue' | 'name' | 'runId'>> {
  /**
   * Default: all queues except queues of the engine, which begin with `_`. To find jobs of a plugin, set this to its queue.
   */
  queue?: string
  /** One of the tags of the job. */
  tag?: string
  /** Default: all states. */
  states?: readonly JobState[]
  /** Text in the name or the message of the error. The case of ASCII letters is ignored. */
  error?: string
  /** Only jobs that were created at or after this moment, in milliseconds since the epoch. */
  createdAfter?: number
  /** Only jobs that were created before this moment, in milliseconds since the epoch. */
  createdBefore?: number
  /**
   * Values in the data, by path. A number, boolean or null also matches a string with the same spelling. Needs the capability `searchData`.
   * Data that a flow keeps in the log of its run is not searched.
   *
   * @example
   * { 'customer.id': 7, 'items.0.sku': 'A1' }
   */
  data?: Readonly<Record<string, SearchedValue>>
}

/** A page of a search. */
export interface JobSearch extends JobFilter {
  /** The `next` of the previous page. The other members must be the same as for that page. */
  after?: string
  /** How many jobs to return, 1 to 1000. Default 100. */
  limit?: number
  /**
   * The maximum number of candidates from the indexes of the store to examine, 1 to 100,000. Default 100,000. With a small number, a search
   * by data or by error returns sooner. The page may then be empty, and its `next` continues the search.
   */
  examine?: number
}

/** The jobs that a search has found. */
export interface FoundJobs {
  /** Sorted by creation, newest first. Jobs from the same millisecond have a fixed order that depends on the store. */
  jobs: JobRecord[]
  /** The cursor of the next page, if there may be more jobs. Opaque. */
  next?: string
  /**
   * True if the search stopped because it had examined `examine` candidates. Older jobs may match as well: continue from `next`, or narrow
   * the filter.
   */
  truncated: boolean
}

/** How many jobs match a filter. */
export interface JobTotals {
  counts: Record<JobState, number>
  /** True if only the newest 100,000 candidates from the indexes of the store were examined. */
  truncated: boolean
}
