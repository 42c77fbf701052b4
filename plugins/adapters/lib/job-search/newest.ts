import type { JobRecord, JobSearch } from '../../../../kernel/index.ts'
import { decodeCursor, encodeCursor, type JobPosition } from './cursor.ts'
import { createMatcher } from './match.ts'
import { DEFAULT_LIMIT } from './search.ts'

/**
 * Finds a page of jobs in memory, newest first. It reads every job once, in any order, and keeps little more than the page, so queues need
 * no index.
 */
export function selectNewest(
  jobs: Iterable<JobRecord>,
  search: JobSearch,
): { jobs: JobRecord[]; next?: string; truncated: false } {
  const { after, limit = DEFAULT_LIMIT } = search
  const matches = createMatcher(search)
  const position = after === undefined ? undefined : decodeCursor(after)
  const room = 2 * limit + 100
  let found: JobRecord[] = []
  let more = false
  let oldest: JobRecord | undefined
  for (const job of jobs) {
    if ((position && compare(job, position) <= 0) || !matches(job)) continue
    if (oldest && compare(job, oldest) > 0) {
      more = true
      continue
    }
    if (found.push(job) < room) continue
    found = found.toSorted(compare).slice(0, limit)
    oldest = found.at(-1)
    more = true
  }
  const page = found.toSorted(compare).slice(0, limit)
  more ||= found.length > limit
  return { jobs: page, ...(more && { next: encodeCursor(page.at(-1)!) }), truncated: false }
}

/** The order of a search: by creation, newest first, then by queue and id. */
function compare(a: JobPosition, b: JobPosition): number {
  if (a.createdAt !== b.createdAt) return b.createdAt - a.createdAt
  if (a.queue !== b.queue) return a.queue < b.queue ? -1 : 1
  return a.id === b.id ? 0 : a.id < b.id ? -1 : 1
}
