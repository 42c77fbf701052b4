import type { JobQuery, JobRecord, JobState } from '../../../../kernel/index.ts'
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

type Row = [id: string, ...fields: (string | null)[]]

/**
 * Creates the function that finds jobs, oldest first. Each key of a queue has its own order. The search reads the requested number of
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

  /** Reads a page with a large offset over several keys: it first reads ids and creations, and then only the jobs of the page. */
  async function searchFar(sources: readonly Source[], offset: number, limit: number): Promise<JobRecord[]> {
    const candidates = await Promise.all(
      sources.map(async (source) => {
        const found: { source: Source; id: string; createdAt: number }[] = []
        const wanted = Math.min(offset + limit, source.size)
        for (let from = 0; from < wanted; from += LIGHT_PAGE_SIZE) {
          const rows = await rowsOf(source, from, Math.min(LIGHT_PAGE_SIZE, wanted - from), true)
          for (const [id, created] of rows) found.push({ source, id, createdAt: Number(created) })
        }
        return found
      }),
    )
    const chosen = candidates.flat().toSorted((a, b) => a.createdAt - b.createdAt)
    const wanted = Map.groupBy(chosen.slice(offset, offset + limit), ({ source }) => source)
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

  return async (names: readonly string[], query: JobQuery): Promise<JobRecord[]> => {
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
      if (offset > PAGE_SIZE) return searchFar(sources, offset, limit)
    }
    const found = await Promise.all(sources.map((source) => search(source, 0, offset + limit, matches)))
    return found
      .flat()
      .toSorted((a, b) => a.createdAt - b.createdAt)
      .slice(offset, offset + limit)
  }
}
