import type { JobQuery, JobRecord, JobState } from '../../kernel/index.ts'
import { defineScript, type RedisPort } from '../_shared/redis.ts'
import { decodeJob } from './job-codec.ts'
import { PAGE } from './job-scripts.ts'
import { OWN } from './names.ts'
import type { Queues } from './queues.ts'

/** Where jobs of a state are, and how. */
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

/** How many jobs one call reads. */
const PAGE_SIZE = 200

/**
 * Finds jobs, oldest first. Each structure of a queue keeps an order of its own: as many as are asked
 * for are taken from each, and the oldest of those answered.
 */
export function createJobSearch(redis: RedisPort, queues: Queues) {
  const page = defineScript(redis, PAGE)

  async function from(
    queue: string,
    state: JobState,
    [key, kind]: readonly [string, string],
    wanted: number,
    fits: (job: JobRecord) => boolean,
  ): Promise<JobRecord[]> {
    const base = queues.baseOf(queue)
    const found: JobRecord[] = []
    for (let offset = 0; found.length < wanted; offset += PAGE_SIZE) {
      const reply = await page([`${base}:${key}`], [base, kind, offset, PAGE_SIZE])
      const rows = reply as [string, ...(string | null)[]][]
      for (const [id, ...fields] of rows) {
        // A row without a name has just been removed.
        const job = fields[0] === null ? undefined : decodeJob(queue, id, state, fields)
        if (job && fits(job)) found.push(job)
      }
      if (rows.length < PAGE_SIZE) break
    }
    return found.slice(0, wanted)
  }

  return async (names: readonly string[], query: JobQuery): Promise<JobRecord[]> => {
    const { name, runId, limit = 100, offset = 0 } = query
    const states = query.states ?? (Object.keys(SOURCES) as JobState[])
    const fits = (job: JobRecord): boolean =>
      (name === undefined || job.name === name) && (runId === undefined || job.runId === runId)
    const searches = names.flatMap((queue) =>
      states.flatMap((state) => SOURCES[state].map((source) => from(queue, state, source, offset + limit, fits))),
    )
    const found = (await Promise.all(searches)).flat()
    return found.toSorted((a, b) => a.createdAt - b.createdAt).slice(offset, offset + limit)
  }
}
