import type { FoundJobs, JobFilter, JobRecord, JobSearch, JobState, JobTotals } from '../../../../kernel/index.ts'
import type { JobPosition } from '../../lib/job-search/cursor.ts'
import { createMatcher, lowerAscii } from '../../lib/job-search/match.ts'
import { mergeSources } from '../../lib/job-search/merge.ts'
import { selectNewest } from '../../lib/job-search/newest.ts'
import { countCandidates, MAX_CANDIDATES, noCounts, searchJobs } from '../../lib/job-search/search.ts'
import type { Candidates, ReadCandidates } from '../../lib/job-search/search.ts'
import { isOwnQueue } from '../../lib/own-queue.ts'
import { quoteName, type PostgresPort } from '../lib/postgres.ts'
import { decodeQueue, encodeQueue, isInternalQueue, jobUuid } from './names.ts'
import { jobsOfRun } from './of-run.ts'
import { STORED_COLUMNS, storedRecord, type StoredJobRow } from './record.ts'
import { CREATED_AT } from './sql-search.ts'

/** The arguments of the functions of `sql-search.ts`. */
const BY_STATE = `($1::text, $2::float8, $3::text, $4::text[], $5::bool, $6::text, $7::text[], $8::text)`
const BY_TAG = `($1::text, $2::text, $3::float8, $4::text, $5::text[], $6::bool, $7::text, $8::text[], $9::text)`
const REPEATABLE = { repeatable: true }
/** Maps each of our states to the states of pg-boss. Active jobs are few and are not in the index. */
const STORED: Record<JobState, readonly string[]> = {
  waiting: ['created', 'retry'],
  delayed: ['created', 'retry'],
  active: [],
  completed: ['completed'],
  failed: ['failed'],
  cancelled: ['cancelled'],
}
const ALL_STATES = Object.keys(STORED) as JobState[]
/** How many entries one statement examines in each source. */
const MAX_EXAMINED = 20_000
/** The maximum number of jobs of a run, and of active jobs, that a search compares. */
const MAX_COMPARED_JOBS = 10_000
const MIN_ID = '00000000-0000-0000-0000-000000000000'
const MAX_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff'

type FoundRow = StoredJobRow & { source: number; pos: number; born: number; uuid: string; hit: boolean }
type CountRow = { source: number; state: string; amount: number; more: boolean }

/** A part of an index. */
interface Part {
  queue: string
  state: string
}

interface Request extends Part {
  born: number
  uuid: string
  wanted: number
  most: number
  resolve(rows: FoundRow[]): void
  reject(error: unknown): void
}

/** Creates the functions that find and count jobs with the index and the table of `sql-search.ts`. */
export function createJobFinder(db: PostgresPort, queueNames: () => Promise<string[]>) {
  const s = quoteName(db.schema)

  /** Returns the queues of a filter, by their names in pg-boss. */
  async function queuesOf({ queue }: JobFilter): Promise<string[]> {
    if (queue !== undefined) return [encodeQueue(queue)]
    return (await queueNames()).filter((name) => !isInternalQueue(name) && !isOwnQueue(decodeQueue(name)))
  }

  /** Finds the jobs that satisfy an SQL condition. */
  async function findSome(where: string, values: readonly unknown[]): Promise<JobRecord[]> {
    const text = `SELECT ${STORED_COLUMNS} FROM ${s}.job j WHERE ${where} ORDER BY ${CREATED_AT} DESC LIMIT ${MAX_COMPARED_JOBS}`
    const rows = await db.query<StoredJobRow>(text, [...values], REPEATABLE)
    return rows.map((row) => storedRecord(decodeQueue(row.name), row))
  }

  /** Finds jobs by their id or their run. The number of these jobs is small enough to compare them here. */
  async function few(filter: JobFilter, names: readonly string[]): Promise<JobRecord[] | undefined> {
    const { id, runId } = filter
    if (id !== undefined) {
      const uuids = names.map((name) => jobUuid(decodeQueue(name), id))
      return findSome('(j.name, j.id) IN (SELECT * FROM unnest($1::text[], $2::uuid[]))', [names, uuids])
    }
    if (runId === undefined) return undefined
    const values: unknown[] = []
    const use = (value: unknown): string => `$${values.push(value)}`
    return findSome(jobsOfRun(s, runId, names, use), values)
  }

  function partsOf({ states = ALL_STATES, tag }: JobFilter, names: readonly string[]): Part[] {
    const stored = tag === undefined ? [...new Set(states.flatMap((state) => STORED[state]))] : ['']
    return names.flatMap((queue) => stored.map((state) => ({ queue, state })))
  }

  /** Returns the arguments of a function of `sql-search.ts`. */
  function argumentsOf({ tag, ...filter }: JobFilter, sources: readonly object[]): unknown[] {
    const { createdAfter = 0, name, states, error } = filter
    const stored = states && [...new Set(states.flatMap((state) => (state === 'active' ? [state] : STORED[state])))]
    const waits = states?.includes('waiting') ?? true
    const due = waits === (states?.includes('delayed') ?? true) ? undefined : waits
    const needle = error === undefined ? undefined : lowerAscii(JSON.stringify(error).slice(1, -1))
    const values = [createdAfter, name, stored, due, needle, ...valueIn(filter.data)]
    return [JSON.stringify(sources), ...(tag === undefined ? [] : [tag]), ...values].map((value) => value ?? null)
  }

  /** Reads parts of the index. Reads that are requested together share a statement. */
  function createReads(filter: JobFilter) {
    let pending: Request[] = []

    async function send(requests: readonly Request[]): Promise<void> {
      const sources = requests.map(({ queue, state, born, uuid, wanted, most }, n) => {
        return { n, q: queue, s: state, b: born, i: uuid, k: wanted, m: most }
      })
      const found = filter.tag === undefined ? `${s}.nq_find${BY_STATE}` : `${s}.nq_find_tagged${BY_TAG}`
      try {
        const rows = await db.query<FoundRow>(
          `SELECT f.source, f.pos, f.born, f.id AS uuid, (f.job).id IS NOT NULL AS hit, ${STORED_COLUMNS}
            FROM ${found} f CROSS JOIN LATERAL (SELECT (f.job).*) j ORDER BY f.source, f.pos`,
          argumentsOf(filter, sources),
          REPEATABLE,
        )
        const bySource = Map.groupBy(rows, ({ source }) => source)
        for (const [n, { resolve }] of requests.entries()) resolve(bySource.get(n) ?? [])
      } catch (error) {
        for (const { reject } of requests) reject(error)
      }
    }

    return (request: Omit<Request, 'resolve' | 'reject'>): Promise<FoundRow[]> =>
      new Promise((resolve, reject) => {
        if (pending.push({ ...request, resolve, reject }) > 1) return
        queueMicrotask(() => {
          const requests = pending
          pending = []
          void send(requests)
        })
      })
  }

  const compares = ({ name, error, data, tag, states }: JobFilter): boolean =>
    (name ?? error ?? data ?? tag ?? states) !== undefined

  function sourcesOf(filter: JobFilter, names: readonly string[]): ReadCandidates[] {
    const { createdBefore = Infinity, states = ALL_STATES, tag } = filter
    const reads = createReads(filter)
    const sources = partsOf(filter, names).map((part): ReadCandidates => {
      const queue = decodeQueue(part.queue)
      return async (after, wanted, atMost) => {
        const most = compares(filter) ? Math.min(atMost, MAX_EXAMINED) : Math.min(atMost, wanted)
        const rows = await reads({ ...part, ...placeOf(after, queue, createdBefore), wanted, most })
        const jobs = rows.filter(({ hit }) => hit).map((row) => storedRecord(queue, row))
        const last = rows.at(-1)
        if (!last || (rows.length < wanted && last.pos < most)) return { jobs, examined: last?.pos ?? 0 }
        const id = last.hit ? jobs.at(-1)!.id : last.uuid
        return { jobs, examined: last.pos, last: { createdAt: last.born, queue, id } }
      }
    })
    if (tag === undefined && states.includes('active')) sources.push(activeOf(filter, names))
    return sources
  }

  /** Reads the active jobs of all queues. They are not in the index, because that would cost one more index update per job. */
  function activeOf(filter: JobFilter, names: readonly string[]): ReadCandidates {
    let active: Promise<JobRecord[]> | undefined
    return async (after, wanted): Promise<Candidates> => {
      active ??= findSome(`j.name = ANY ($1) AND j.state = 'active'`, [names])
      const matches = createMatcher(filter)
      const jobs = (await active).filter((job) => matches(job) && (!after || precedes(after, job))).toSorted(order)
      const page = jobs.slice(0, wanted)
      return { jobs: page, examined: page.length, ...(jobs.length > wanted && { last: page.at(-1)! }) }
    }
  }

  async function countParts(filter: JobFilter, names: readonly string[]): Promise<JobTotals> {
    const { states = ALL_STATES, createdBefore = Infinity, tag } = filter
    const counts = noCounts()
    let truncated = false
    const place = placeOf(undefined, '', createdBefore)
    const sources = partsOf(filter, names).map(({ queue, state }, n) => {
      return { n, q: queue, s: state, b: place.born, i: place.uuid, k: 1, m: MAX_CANDIDATES }
    })
    const open = states.filter((state) => state === 'waiting' || state === 'delayed')
    const others = states.filter((state) => state !== 'waiting' && state !== 'delayed')
    for (const group of [...open.map((state) => [state]), others]) {
      if (group.length === 0) continue
      const stored = new Set(group.flatMap((state) => STORED[state]))
      const some = tag === undefined ? sources.filter((source) => stored.has(source.s)) : sources
      const values = argumentsOf({ ...filter, states: group }, some)
      const text = `SELECT c.* FROM ${tag === undefined ? `${s}.nq_count${BY_STATE}` : `${s}.nq_count_tagged${BY_TAG}`} c`
      const rows = some.length === 0 ? [] : await db.query<CountRow>(text, values, REPEATABLE)
      for (const { state, amount, more } of rows) {
        truncated ||= more
        // A tag also has jobs in other states, which do not match.
        if (amount > 0) counts[group.length === 1 ? group[0]! : (state as JobState)] += amount
      }
    }
    if (tag === undefined && states.includes('active')) {
      const active = await findSome(`j.name = ANY ($1) AND j.state = 'active'`, [names])
      counts.active = active.filter(createMatcher(filter)).length
    }
    return { counts, truncated }
  }

  return {
    async findJobs(search: JobSearch): Promise<FoundJobs> {
      const names = await queuesOf(search)
      const some = await few(search, names)
      if (some) return selectNewest(some, search)
      return searchJobs(search, mergeSources(sourcesOf(search, names), precedes))
    },
    async countJobs(filter: JobFilter): Promise<JobTotals> {
      const { queue: _queue, states, ...others } = filter
      const names = await queuesOf(filter)
      const some = await few(filter, names)
      const counts = noCounts()
      if (some) {
        const matches = createMatcher(filter)
        for (const job of some) if (matches(job)) counts[job.state]++
        return { counts, truncated: false }
      }
      if (filter.error !== undefined || filter.data) {
        return countCandidates(filter, mergeSources(sourcesOf(filter, names), precedes))
      }
      if (Object.values(others).some((value) => value !== undefined)) return countParts(filter, names)
      const text = `SELECT c.* FROM unnest($1::text[]) AS q (name), ${s}.nq_counts(q.name) c`
      for (const row of await db.query<Record<JobState, number>>(text, [names], REPEATABLE)) {
        for (const state of states ?? ALL_STATES) counts[state] += row[state]
      }
      return { counts, truncated: false }
    },
  }
}

/** Returns where a search continues in a part of an index: before this creation time, and before this id within the same time. */
function placeOf(after: JobPosition | undefined, queue: string, createdBefore: number): { born: number; uuid: string } {
  const limit = Math.min(createdBefore, Number.MAX_SAFE_INTEGER)
  if (!after || after.createdAt >= limit) return { born: limit, uuid: MIN_ID }
  const { createdAt: born } = after
  if (after.queue === queue) return { born, uuid: jobUuid(queue, after.id) }
  return { born, uuid: queue < after.queue ? MIN_ID : MAX_ID }
}

/** The order of a search: newest first, then by queue, then by the id in pg-boss. */
function precedes(a: JobPosition, b: JobPosition): boolean {
  if (a.createdAt !== b.createdAt) return a.createdAt > b.createdAt
  return a.queue === b.queue ? jobUuid(a.queue, a.id) > jobUuid(b.queue, b.id) : a.queue < b.queue
}

function order(a: JobPosition, b: JobPosition): number {
  return precedes(a, b) ? -1 : 1
}

/** Returns the path and the text of one value that SQL can compare. The others are compared later. */
function valueIn(data: JobFilter['data'] = {}): [path: string[] | undefined, value: string | undefined] {
  const found = Object.entries(data).find(
    ([path, value]) => !/(?:^|\.)\$/.test(path) && (typeof value !== 'number' || !String(value).includes('e')),
  )
  return found ? [found[0].split('.'), String(found[1])] : [undefined, undefined]
}
