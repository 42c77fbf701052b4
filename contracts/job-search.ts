import type { JobRecord, JobState } from './job.ts'

/** A value in the data of a job that a search can compare. */
export type SearchedValue = string | number | boolean | null

/** Which jobs to find. A job matches if it matches each member. */
export interface JobFilter extends Partial<Pick<JobRecord, 'id' | 'queue' | 'name' | 'runId'>> {
  /**
   * Default: all queues except those of the engine, which begin with `_`. To find jobs of a plugin, name its queue.
   */
  queue?: string
  /** One of the tags of the job. */
  tag?: string
  /** Default: all states. */
  states?: readonly JobState[]
  /** Text in the name or the message of the error. Upper and lower case of ASCII letters are equal. */
  error?: string
  /** Only jobs that were created at or after this moment, in milliseconds since the epoch. */
  createdAfter?: number
  /** Only jobs that were created before this moment, in milliseconds since the epoch. */
  createdBefore?: number
  /**
   * Values in the data, by path. A number, boolean or null matches also the text that is written like it. Needs the capability
   * `searchData`. Data that a flow keeps in the log of its run is not searched.
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
   * How many of the jobs that the indexes of the store offer to examine at most, 1 to 100,000. Default 100,000. With a small number, a
   * page of a search by data or by error comes sooner, may have no job, and has a `next` from where to search on.
   */
  examine?: number
}

/** The jobs that a search has found. */
export interface FoundJobs {
  /** Newest first by their creation. Jobs of one millisecond have a fixed order that depends on the store. */
  jobs: JobRecord[]
  /** Where the next page begins, if there may be more jobs. Opaque. */
  next?: string
  /**
   * True if the search stopped because it had examined `examine` jobs that the indexes of the store offered. Older jobs may match
   * as well: continue from `next`, or narrow the filter.
   */
  truncated: boolean
}

/** How many jobs match a filter. */
export interface JobTotals {
  counts: Record<JobState, number>
  /** True if only the newest 100,000 jobs that the indexes of the store offered were examined. */
  truncated: boolean
}
