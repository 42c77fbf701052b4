import type { RunFilter, RunInfo } from '../../../../kernel/index.ts'
import { defineScript, type RedisPort } from '../lib/redis.ts'
import { decodeRun } from './codec.ts'
import { LONG_RUN, SCAN_RUNS } from './run-scripts.ts'
import type { Shards } from './shards.ts'

/** How many runs one call looks at: Redis does nothing else meanwhile. */
const MOST_LOOKED_AT = 600
/** How many indexes one call looks at. */
const MOST_SOURCES = 64
/** The least that is worth a look at an index. */
const LEAST_PAGE = 8

/** A run and its fields in the order of `RUN_FIELDS`. */
type Row = [runId: string, status: string, names: string, began: string, ...others: string[]]
type Page = [next: string, seen: number, rows: Row[]]

/** An index that is gone through from its newest member on. No run behind `from` began later than that. */
interface Source {
  tag: string
  key: string
  from: string
  seen: number
  done: boolean
}

const ENDED: readonly RunInfo['status'][] = ['completed', 'failed', 'cancelled']

/**
 * Finds runs, newest first, page by page of the indexes that may hold them, until none that is left can be newer than
 * what was found.
 *
 * What has ended is indexed by its end, apart where it ran on a queue of the engine's own, and a run began before it ended. So a search for runs that began before a
 * moment looks at those that ended up to a second after it, and at the index of runs that took longer than a second,
 * which is by begin.
 */
export function createRunList(redis: RedisPort, shards: Shards) {
  const scan = defineScript(redis, SCAN_RUNS)

  /** When a run began, which is finer in the store than what a run tells; for one that is gone, the end of its millisecond. */
  async function beganOf({ runId, startedAt }: NonNullable<RunFilter['after']>): Promise<string> {
    const began = await redis.client.hget(`${shards.tagOf(runId)}:r:${runId}`, 'b')
    return Number.parseInt(began ?? '', 10) === startedAt ? began! : `${startedAt}.9999`
  }

  function sourcesOf(filter: RunFilter, began: string | undefined, before: number | undefined) {
    const { status, flow, tag, hideInternal = false } = filter
    const bound = began ?? (before === undefined ? undefined : `(${before}`)
    const source = (key: string, from = '+inf') =>
      shards.tags.map((shard): Source => ({ tag: shard, key, from, seen: 0, done: false }))
    if (tag !== undefined) return source(`:tag:${tag}`, bound)
    if (flow !== undefined) return source(`:flow:${flow}`, bound)
    const statuses = status === undefined ? ENDED : ENDED.filter((one) => one === status)
    const ended = statuses.flatMap((one) => (hideInternal ? [`:${one}`] : [`:${one}`, `:_${one}`]))
    const running = status === undefined || status === 'running' ? source(':running', bound) : []
    if (bound === undefined) return [...running, ...ended.flatMap((index) => source(index))]
    const latestEnd = String(Number(began ?? before) + LONG_RUN + 1)
    const long = statuses.length > 0 ? source(':long', bound) : []
    return [...running, ...ended.flatMap((index) => source(index, latestEnd)), ...long]
  }

  /** Indexes that one call may look at together: on a Cluster each shard has a slot of its own. */
  function groupsOf(sources: readonly Source[]): Source[][] {
    const byNode = redis.cluster ? [...Map.groupBy(sources, ({ tag }) => tag).values()] : [[...sources]]
    return byNode.flatMap((some) => {
      const groups: Source[][] = []
      for (let from = 0; from < some.length; from += MOST_SOURCES) groups.push(some.slice(from, from + MOST_SOURCES))
      return groups
    })
  }

  return async ({ limit = 100, ...filter }: RunFilter = {}): Promise<RunInfo[]> => {
    if (!(limit > 0)) return []
    const { status, name, queue, flow, hideInternal = false, after } = filter
    const before = filter.startedBefore === Infinity ? undefined : filter.startedBefore
    const began = after && (await beganOf(after))
    const wanted = { s: status, n: name, q: queue, flow, hideInternal, before, began, last: after?.runId }
    const sources = sourcesOf(filter, began, before)
    /** Whether a look takes as much as it may: the first may find all that is wanted at once. */
    let whole = began !== undefined || before !== undefined
    let found = new Map<string, Row>()

    async function look(group: readonly Source[]): Promise<void> {
      const share = Math.max(LEAST_PAGE, Math.floor(MOST_LOOKED_AT / group.length))
      const count = whole ? share : Math.min(share, Math.max(LEAST_PAGE, limit))
      const asked = group.map(({ tag, key, from, seen }) => [tag, key, from, seen])
      const reply = await scan([`${group[0]!.tag}:running`], [JSON.stringify({ ...wanted, sources: asked, count })])
      for (const [index, [next, seen, rows]] of (reply as Page[]).entries()) {
        const source = group[index]!
        if (next === '') source.done = true
        else Object.assign(source, { from: next, seen })
        for (const row of rows) found.set(row[0], row)
      }
    }

    for (;;) {
      const open = sources.filter(({ done }) => !done)
      if (open.length === 0) break
      await Promise.all(groupsOf(open).map(look))
      whole = true
      if (found.size < limit) continue
      const newest = [...found.values()].toSorted(newestFirst).slice(0, limit)
      found = new Map(newest.map((row) => [row[0], row]))
      const oldest = Number(newest.at(-1)![3])
      for (const source of open) source.done ||= Number(source.from) < oldest
    }
    const rows = [...found.values()].toSorted(newestFirst)
    return rows.map(([runId, ...fields]) => decodeRun(runId, fields))
  }
}

/** As the script orders them. */
function newestFirst([a, , , aBegan]: Row, [b, , , bBegan]: Row): number {
  return Number(bBegan) - Number(aBegan) || Buffer.compare(Buffer.from(b), Buffer.from(a))
}
