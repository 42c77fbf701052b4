import type { FoundJobs, JobFilter, JobRecord, JobSearch, JobState, JobTotals } from '../../../../kernel/index.ts'
import type { JobPosition } from '../../lib/job-search/cursor.ts'
import { createMatcher, lowerAscii } from '../../lib/job-search/match.ts'
import { mergeSources } from '../../lib/job-search/merge.ts'
import { selectNewest } from '../../lib/job-search/newest.ts'
import {
  countCandidates,
  MAX_CANDIDATES,
  noCounts,
  searchJobs,
  type Candidates,
  type ReadCandidates,
} from '../../lib/job-search/search.ts'
import { isOwnQueue } from '../../lib/own-queue.ts'
import { defineScript, type RedisPort } from '../lib/redis.ts'
import { decodeJob } from './job-codec.ts'
import { createEmptyRanges } from './empty-ranges.ts'
import { createIndexRepair } from './job-index.ts'
import { decodeId, storedIds } from './names.ts'
import type { Queues } from './queues.ts'
import { COUNT, FIND, STATES } from './search-scripts.ts'

/** How many jobs one call returns, and how many entries it examines, because a script blocks Redis. */
const MAX_JOBS = 500
const MAX_EXAMINED = 5000
/** The maximum number of entries that one call examines if it compares texts. */
const MAX_COMPARED = 1000

type Row = [id: string, state: JobState, ...fields: (string | null)[]]
type Found = [gap: number, examined: number, score: string, id: string, ended: number, ...rows: unknown[]]
type GetJob = (queue: string, id: string) => Promise<JobRecord | undefined>

/** Creates the functions that find and count jobs with the indexes of `index-lua.ts`. */
export function createJobFinder(redis: RedisPort, queues: Queues, getJob: GetJob) {
  const find = defineScript(redis, FIND)
  const count = defineScript(redis, COUNT)
  const repair = createIndexRepair(redis, queues)
  const skipEmpty = createEmptyRanges(redis, queues)

  async function queuesOf({ queue }: JobFilter): Promise<string[]> {
    if (queue !== undefined) return [queue]
    return (await queues.list()).filter((name) => !isOwnQueue(name))
  }

  /** Calls `FIND` or `COUNT`, and calls it again if indexes had to be repaired. */
  async function evaluate<T>(queue: string, script: typeof find, args: (string | number)[]): Promise<T> {
    const base = queues.baseOf(queue)
    const send = async (): Promise<T> => (await script([`${base}:meta`], [base, ...args])) as T
    const reply = await send()
    return (await repair(queue, (reply as [number])[0])) ? send() : reply
  }

  function callFind(queue: string, filter: JobFilter, after: JobPosition | undefined, wanted: number, most: number) {
    const { createdAfter, createdBefore, states, error } = filter
    const texts = textsIn(filter.data)
    const limit = error === undefined && texts.length === 0 ? MAX_EXAMINED : MAX_COMPARED
    const place = after === undefined ? ['', '', '', ''] : placeOf(after, queue, filter.runId)
    return evaluate<Found>(queue, find, [
      required(filter),
      ...place,
      createdAfter ?? '-inf',
      createdBefore === undefined ? '+inf' : `(${createdBefore}`,
      states?.join(',') ?? '',
      ...[wanted, Math.min(most, limit)],
      ...(error === undefined ? ['', ''] : [lowerAscii(JSON.stringify(error).slice(1, -1)), lowerAscii(error)]),
      ...texts,
    ])
  }

  const reader =
    (queue: string, filter: JobFilter): ReadCandidates =>
    async (after, wanted, atMost): Promise<Candidates> => {
      const found = await callFind(queue, filter, after, Math.min(wanted, MAX_JOBS), atMost)
      const [, examined, score, id, ended, ...rows] = found
      const jobs = (rows as Row[]).map(([stored, state, ...fields]) => decodeJob(queue, stored, state, fields))
      return { jobs, examined, ...(ended === 0 && { last: { createdAt: Number(score), queue, id: decodeId(id) } }) }
    }

  /** The index of a run does not contain the job whose id is the run. */
  async function sourcesOf(filter: JobFilter): Promise<ReadCandidates[]> {
    const names = await queuesOf(filter)
    const sources = names.map((queue) => skipEmpty(queue, filter, reader(queue, filter)))
    const { runId } = filter
    return runId === undefined ? sources : [...names.map((queue) => firstOf(queue, runId)), ...sources]
  }

  /** Reads the job whose id is its run. It comes before the other jobs of its millisecond and queue. */
  const firstOf =
    (queue: string, runId: string): ReadCandidates =>
    async (after) => {
      const job = await getJob(queue, runId)
      const isNext =
        job?.runId === runId &&
        (!after ||
          job.createdAt < after.createdAt ||
          (job.createdAt === after.createdAt && after.queue !== queue && after.queue < queue))
      return { jobs: isNext ? [job] : [], examined: 1 }
    }

  async function byId(filter: JobFilter): Promise<JobRecord[]> {
    const found = await Promise.all((await queuesOf(filter)).map((queue) => getJob(queue, filter.id!)))
    return found.filter((job) => job !== undefined)
  }

  /** Counts the jobs of a queue that are in all indexes of a filter. */
  async function countIndexed(queue: string, filter: JobFilter, add: (counts: number[]) => void): Promise<void> {
    const [, ...counts] = await evaluate<[number, ...number[]]>(queue, count, [required(filter)])
    add(counts)
  }

  /** Counts the newest entries of the indexes of a queue. Returns true if there are more. */
  async function countWalking(queue: string, filter: JobFilter, add: (counts: number[]) => void): Promise<boolean> {
    let position: JobPosition | undefined
    for (let left = MAX_CANDIDATES; left > 0;) {
      const [, examined, score, id, ended, ...counts] = await callFind(queue, filter, position, 0, left)
      add(counts as number[])
      if (ended === 1) return false
      left -= examined
      position = { createdAt: Number(score), queue, id: decodeId(id) }
    }
    return true
  }

  return {
    async findJobs(search: JobSearch): Promise<FoundJobs> {
      if (search.id !== undefined) return selectNewest(await byId(search), search)
      return searchJobs(search, mergeSources(await sourcesOf(search)))
    },
    async countJobs(filter: JobFilter): Promise<JobTotals> {
      const { id, runId, states, createdAfter, createdBefore, error, data } = filter
      const counts = noCounts()
      if (id !== undefined) {
        const matches = createMatcher(filter)
        for (const job of await byId(filter)) if (matches(job)) counts[job.state]++
        return { counts, truncated: false }
      }
      if (error !== undefined || data || runId !== undefined) {
        return countCandidates(filter, mergeSources(await sourcesOf(filter)))
      }
      const add = (found: number[]): void => {
        for (const [index, state] of STATES.entries())
          if (!states || states.includes(state)) counts[state] += found[index]!
      }
      const names = await queuesOf(filter)
      if (createdAfter === undefined && createdBefore === undefined) {
        await Promise.all(names.map((queue) => countIndexed(queue, filter, add)))
        return { counts, truncated: false }
      }
      const truncated = await Promise.all(names.map((queue) => countWalking(queue, filter, add)))
      return { counts, truncated: truncated.includes(true) }
    },
  }
}

/** Returns the indexes that contain every matching job of a filter, separated by NUL. */
function required({ name, tag, runId }: JobFilter): string {
  const indexes = [name === undefined ? [] : `n:${name}`, tag === undefined ? [] : `t:${tag}`]
  return [...indexes, runId === undefined ? [] : `r:${runId}`].flat().join('\0')
}

/** Returns where a search continues in a queue. Within a millisecond, queues follow each other by name, and a queue has its own order. */
function placeOf({ createdAt, queue, id }: JobPosition, of: string, runId: string | undefined): (string | number)[] {
  if (queue !== of || id === runId) return [of < queue ? 'below' : 'from', createdAt, '', '']
  return ['after', createdAt, ...storedIds(id)]
}

/** Text that every JSON encoder writes unchanged. */
const PLAIN = /^[\w .:@+-]+$/

/**
 * Returns several texts for each value, separated by NUL. The stored data of every matching job contains one of them. There are several
 * because other producers may write JSON with spaces.
 */
function textsIn(data: JobFilter['data'] = {}): string[] {
  return Object.entries(data).flatMap(([path, value]) => {
    const [key, text] = [path.split('.').at(-1)!, String(value)]
    if (!PLAIN.test(key) || /^\d+$/.test(key)) return PLAIN.test(text) ? [text] : []
    if (!PLAIN.test(text)) return [`"${key}"`]
    return [
      ['', ' ']
        .flatMap((space) => [`"${key}":${space}${text}`, `"${key}":${space}"${text}`])
        .concat(`"${key}":{"$`)
        .join('\0'),
    ]
  })
}
