import type { JobQuery, JobRecord, JobState } from '../../../../kernel/index.ts'
import { inPages } from '../../lib/store-copy.ts'
import { defineScript, type RedisPort } from '../lib/redis.ts'
import { decodeJob } from './job-codec.ts'
import { MANY, PAGE, SIZES } from './job-scripts.ts'
import { OWN } from './names.ts'
import type { Queues } from './queues.ts'

/** The keys that contain the jobs of a state, and their kinds. */
const SOURCES: Readonly<Record<JobState, readonly (readonly [key: string, kind: 'list' | 'set'])[]>> = {
  waiting: [
    ['wait', 'list'],
    ['paused', 'list'],
    ['prioritized', 'set'],
  ],
  delayed: [['delayed', 'set']],
  active: [['active', 'list']],
  completed: [['completed', 'set']],
  failed: [['failed', 'set']],
  cancelled: [[`${OWN}cancelled`, 'set']],
}

/** The number of jobs that one call reads, and the number of jobs of which one call reads only the creation. */
const PAGE_SIZE = 200
const LIGHT_PAGE_SIZE = 2000

/** One key of a queue that contains jobs. */
interface Source {
  queue: string
  state: JobState
  key: string
  kind: 'list' | 'set'
  size: number
}

/** A job of which only the id and the creation were read. */
interface Candidate {
  source: Source
  id: string
  createdAt: number
}

type Row = [id: string, ...fields: (string | null)[]]

/**
 * Creates the functions that list jobs, oldest first. Each key of a queue has its own order. The search reads the requested number of
 * jobs from each key, and returns the oldest of them.
 */
export function createJobSearch(redis: RedisPort, queues: Queues) {
  const page = defineScript(redis, PAGE)
  const many = defineScript(redis, MANY)
  const sizes = defineScript(redis, SIZES)

  async function sourcesOf(queue: string, states: readonly JobState[]): Promise<Source[]> {
    const base = queues.baseOf(queue)
    const all = states.flatMap((state) => SOURCES[state].map(([key, kind]) => ({ queue, state, key, kind })))
    if (all.length === 0) return []
    const counts = (await sizes([`${base}:meta`], [base, ...all.flatMap(({ key, kind }) => [key, kind])])) as number[]
    return all.map((one, index) => ({ ...one, size: counts[index]! })).filter(({ size }) => size > 0)
  }

  async function rowsOf({ queue, key, kind }: Source, offset: number, count: number, light = false): Promise<Row[]> {
    const base = queues.baseOf(queue)
    return (await page([`${base}:${key}`], [base, kind, offset, count, light ? 1 : 0])) as Row[]
  }

  /** Decodes a row. A row without a name belongs to a job that has just been removed. */
  function decode({ queue, state }: Source, [id, ...fields]: Row): JobRecord[] {
    return fields[0] === null ? [] : [decodeJob(queue, id, state, fields)]
  }

  async function search(source: Source, from: number, wanted: number, matches: (job: JobRecord) => boolean) {
    const found: JobRecord[] = []
    for (let offset = from; found.length < wanted && offset < source.size; offset += PAGE_SIZE) {
      const rows = await rowsOf(source, offset, PAGE_SIZE)
      found.push(...rows.flatMap((row) => decode(source, row)).filter(matches))
      if (rows.length < PAGE_SIZE) break
    }
    return found.slice(0, wanted)
  }

  /** Reads the ids and creations of jobs, oldest first. */
  async function candidatesOf(sources: readonly Source[], limit = Infinity): Promise<Candidate[]> {
    const candidates = await Promise.all(
      sources.map(async (source) => {
        const found: Candidate[] = []
        const wanted = Math.min(limit, source.size)
        for (let from = 0; from < wanted; from += LIGHT_PAGE_SIZE) {
          const rows = await rowsOf(source, from, Math.min(LIGHT_PAGE_SIZE, wanted - from), true)
          for (const [id, created] of rows) found.push({ source, id, createdAt: Number(created) })
        }
        return found
      }),
    )
    return candidates.flat().toSorted((a, b) => a.createdAt - b.createdAt)
  }

  /** Reads the jobs of candidates, oldest first. */
  async function jobsOf(chosen: readonly Candidate[]): Promise<JobRecord[]> {
    const wanted = Map.groupBy(chosen, ({ source }) => source)
    const jobs = await Promise.all(
      [...wanted].map(async ([source, some]) => {
        const base = queues.baseOf(source.queue)
        const found: JobRecord[] = []
        for (let from = 0; from < some.length; from += PAGE_SIZE) {
          const ids = some.slice(from, from + PAGE_SIZE).map(({ id }) => id)
          const rows = (await many([`${base}:meta`], [base, ...ids])) as Row[]
          found.push(...rows.flatMap((row) => decode(source, row)))
        }
        return found
      }),
    )
    return jobs.flat().toSorted((a, b) => a.createdAt - b.createdAt)
  }

  /** Yields the jobs of a queue in these states in pages, oldest first. Jobs that change their state meanwhile may be absent. */
  async function* pages(queue: string, states: readonly JobState[]): AsyncGenerator<JobRecord[], void> {
    for (const page of inPages(await candidatesOf(await sourcesOf(queue, states)))) yield jobsOf(page)
  }

  async function list(names: readonly string[], query: JobQuery): Promise<JobRecord[]> {
    const { name, runId, limit = 100, offset = 0 } = query
    const states = query.states ?? (Object.keys(SOURCES) as JobState[])
    const sources = (await Promise.all(names.map((queue) => sourcesOf(queue, states)))).flat()
    const total = sources.reduce((sum, { size }) => sum + size, 0)
    // The offset is larger than the number of all jobs.
    if (offset >= total || limit <= 0) return []
    const matches = (job: JobRecord): boolean =>
      (name === undefined || job.name === name) && (runId === undefined || job.runId === runId)
    if (name === undefined && runId === undefined) {
      if (sources.length === 1) {
        const jobs = await search(sources[0]!, offset, limit, matches)
        return jobs.toSorted((a, b) => a.createdAt - b.createdAt)
      }
      // With a large offset, only the jobs of the page are read completely.
      if (offset > PAGE_SIZE) return jobsOf((await candidatesOf(sources, offset + limit)).slice(offset, offset + limit))
    }
    const found = await Promise.all(sources.map((source) => search(source, 0, offset + limit, matches)))
    return found
      .flat()
      .toSorted((a, b) => a.createdAt - b.createdAt)
      .slice(offset, offset + limit)
  }

  return { list, pages }
}
