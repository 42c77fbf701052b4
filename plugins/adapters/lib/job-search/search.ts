import type { FoundJobs, JobRecord, JobSearch, JobState, JobTotals, MaybePromise } from '../../../../kernel/index.ts'
import { decodeCursor, encodeCursor, type JobPosition } from './cursor.ts'
import { createMatcher } from './match.ts'

/** The maximum number of index entries that one search or count examines. */
export const MAX_CANDIDATES = 100_000
/** The default number of jobs in a page. */
export const DEFAULT_LIMIT = 100

/** A part of an index, newest first. */
export interface Candidates {
  /** The jobs in the order of the index. Jobs that cannot match may be omitted. */
  jobs: readonly JobRecord[]
  /** How many entries of the index were read, including entries that did not match. At least 1 unless `last` is absent. */
  examined: number
  /** The position of the last entry that was read. Absent if the index ends there. */
  last?: JobPosition
}

/**
 * Reads the entries that follow a position. `wanted` is the number of matching jobs that the page still needs, and `atMost` the maximum
 * number of entries to examine. Reading fewer is allowed.
 */
export type ReadCandidates = (
  after: JobPosition | undefined,
  wanted: number,
  atMost: number,
) => MaybePromise<Candidates>

/** Implements `findJobs` with the index of an adapter: reads candidates until the page is full, the index ends or the bound is reached. */
export async function searchJobs(search: JobSearch, read: ReadCandidates): Promise<FoundJobs> {
  const { after, limit = DEFAULT_LIMIT, examine = MAX_CANDIDATES } = search
  const matches = createMatcher(search)
  const jobs: JobRecord[] = []
  let position = after === undefined ? undefined : decodeCursor(after)
  let examined = 0
  while (examined < examine) {
    const found = await read(position, limit - jobs.length, examine - examined)
    for (const [index, job] of found.jobs.entries()) {
      if (!matches(job)) continue
      jobs.push(job)
      if (jobs.length < limit) continue
      const isLast = found.last === undefined && index === found.jobs.length - 1
      return { jobs, ...(!isLast && { next: encodeCursor(job) }), truncated: false }
    }
    if (found.last === undefined) return { jobs, truncated: false }
    position = found.last
    examined += found.examined
  }
  return { jobs, next: encodeCursor(position!), truncated: true }
}

/** Counts the jobs of an index by state, within the same bound. */
export async function countCandidates(search: JobSearch, read: ReadCandidates): Promise<JobTotals> {
  const matches = createMatcher(search)
  const counts = noCounts()
  let position: JobPosition | undefined
  let examined = 0
  while (examined < MAX_CANDIDATES) {
    const found = await read(position, MAX_CANDIDATES, MAX_CANDIDATES - examined)
    for (const job of found.jobs) if (matches(job)) counts[job.state]++
    if (found.last === undefined) return { counts, truncated: false }
    position = found.last
    examined += found.examined
  }
  return { counts, truncated: true }
}

export function noCounts(): Record<JobState, number> {
  return { waiting: 0, delayed: 0, active: 0, completed: 0, failed: 0, cancelled: 0 }
}
