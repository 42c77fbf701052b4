import type { JobRecord } from '../../../../kernel/index.ts'
import type { JobPosition } from './cursor.ts'
import type { Candidates, ReadCandidates } from './search.ts'

/** Whether a position comes before another in the order of a search. */
type Precedes = (a: JobPosition, b: JobPosition) => boolean

interface Open {
  read: ReadCandidates
  jobs: JobRecord[]
  /** The last entry that was read. */
  frontier: JobPosition | undefined
  ended: boolean
  /** How many jobs to ask for next. Doubles with each read. */
  block: number
  /** The maximum number of entries to examine next. Grows with each read, because a source may have no matching job. */
  reach: number
}

/** The maximum number of entries that the first read of a source examines, unless more jobs are wanted. */
const FIRST_EXAMINED = 500

/** Newest first, then by queue. Within a millisecond, each queue has its own order. */
function byQueue(a: JobPosition, b: JobPosition): boolean {
  return a.createdAt === b.createdAt ? a.queue < b.queue : a.createdAt > b.createdAt
}

/**
 * Merges indexes, for example the indexes of several queues. It reads a little from each index, and continues where the page needs more. The
 * returned function keeps what it has read, so each search needs its own.
 *
 * @param sources each reads one index. The position may be the position of a job in another index. Reading then starts where that job would
 * be
 */
export function mergeSources(sources: readonly ReadCandidates[], precedes: Precedes = byQueue): ReadCandidates {
  let open: Open[] | undefined

  return async (after, wanted, atMost): Promise<Candidates> => {
    const share = Math.ceil((2 * wanted) / Math.max(1, sources.length)) + 2
    open ??= sources.map((read) => ({
      read,
      jobs: [],
      frontier: after,
      ended: false,
      block: share,
      reach: Math.max(FIRST_EXAMINED, wanted),
    }))
    const merged: JobRecord[] = []
    let examined = 0

    async function refill(source: Open): Promise<void> {
      const jobs = Math.min(source.block, Math.max(wanted, 2))
      const found = await source.read(source.frontier, jobs, Math.min(source.reach, atMost))
      source.block *= 2
      source.reach *= 4
      source.jobs = [...found.jobs]
      source.frontier = found.last
      source.ended = found.last === undefined
      examined += found.examined
    }

    while (merged.length < wanted) {
      let first: Open | undefined
      for (const source of open) {
        if (source.jobs.length > 0 && (!first || precedes(source.jobs[0]!, first.jobs[0]!))) first = source
      }
      const head = first?.jobs[0]
      // A source that was read beyond the first job cannot have a job that comes before it.
      const unknown = open.filter(
        ({ jobs, ended, frontier }) => jobs.length === 0 && !ended && !(head && frontier && precedes(head, frontier)),
      )
      if (unknown.length > 0) {
        if (examined >= atMost) return { jobs: merged, examined, last: stopAt(open, merged) }
        await Promise.all(head ? unknown.map(refill) : newestOf(unknown).map(refill))
        continue
      }
      if (!first) return { jobs: merged, examined }
      merged.push(first.jobs.shift()!)
    }
    const ended = open.every(({ jobs, ended: over }) => over && jobs.length === 0)
    return { jobs: merged, examined: Math.max(1, examined), ...(!ended && { last: merged.at(-1)! }) }
  }

  /** Returns the sources that may have the next job. The jobs of the other sources come later, so those sources may never be read. */
  function newestOf(unread: readonly Open[]): readonly Open[] {
    const frontiers = unread.map(({ frontier }) => frontier?.createdAt ?? Infinity)
    return unread.filter((_, index) => frontiers[index] === Math.max(...frontiers))
  }

  /** Adds the jobs that come before all unread entries, and returns the position up to which everything was read. */
  function stopAt(all: readonly Open[], merged: JobRecord[]): JobPosition {
    const unread = all.filter(({ jobs, ended }) => jobs.length === 0 && !ended).map(({ frontier }) => frontier!)
    const last = unread.reduce((a, b) => (precedes(a, b) ? a : b))
    const heads = all.flatMap((source) => {
      const count = source.jobs.findIndex((job) => !precedes(job, last))
      return source.jobs.splice(0, count < 0 ? source.jobs.length : count)
    })
    merged.push(...heads.toSorted((a, b) => (precedes(a, b) ? -1 : 1)))
    return last
  }
}
