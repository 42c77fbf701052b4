import type { RunFilter, RunInfo } from '../../../../kernel/index.ts'
import { defineScript, type RedisPort } from '../lib/redis.ts'
import { decodeRun } from './codec.ts'
import { LONG_RUN, SCAN_RUNS } from './run-scripts.ts'
import type { Shards } from './shards.ts'

/** The maximum number of runs that one call reads, because a script blocks Redis. */
const MAX_RUNS = 600
/** The maximum number of indexes that one call reads. */
const MAX_SOURCES = 64
/** The minimum number of runs to read of an index. */
const MIN_PAGE = 8

/** A run, and its fields in the order of `RUN_FIELDS`. */
type Row = [runId: string, status: string, names: string, began: string, ...others: string[]]
type Page = [next: string, seen: number, rows: Row[]]

/** An index that is read from its newest member on. */
interface Source {
  tag: string
  key: string
  /** The score at which the next page begins. No remaining run began later. */
  from: string
  /** How many members with the score `from` were read already. */
  seen: number
  done: boolean
}

const ENDED: readonly RunInfo['status'][] = ['completed', 'failed', 'cancelled']

/**
 * Creates the function that lists runs, newest first. It reads pages of all indexes that may contain matching runs, until no
 * remaining run can be newer than the runs found so far.
 *
 * Indexes of ended runs are ordered by the end of the runs. Runs on the engine's own queues have separate indexes, whose names begin
 * with `_`. A search for runs that began before a moment reads the runs that ended up to one second after it, and the index `long`.
 * That index contains the runs that took longer than a second, ordered by their start.
 */
export function createRunList(redis: RedisPort, shards: Shards) {
  const scan = defineScript(redis, SCAN_RUNS)

  /** Returns the start of a run with the precision of the store. For a deleted run, returns the end of its millisecond. */
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

  /** Groups indexes that one call may read together. On a Cluster, each shard has its own slot. */
  function groupsOf(sources: readonly Source[]): Source[][] {
    const byNode = redis.cluster ? [...Map.groupBy(sources, ({ tag }) => tag).values()] : [[...sources]]
    return byNode.flatMap((some) => {
      const groups: Source[][] = []
      for (let from = 0; from < some.length; from += MAX_SOURCES) groups.push(some.slice(from, from + MAX_SOURCES))
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
    /** True if a read uses full pages. The first read uses small ones, because they often contain enough runs. */
    let fullPages = began !== undefined || before !== undefined
    let found = new Map<string, Row>()

    async function readPages(group: readonly Source[]): Promise<void> {
      const share = Math.max(MIN_PAGE, Math.floor(MAX_RUNS / group.length))
      const count = fullPages ? share : Math.min(share, Math.max(MIN_PAGE, limit))
      const requested = group.map(({ tag, key, from, seen }) => [tag, key, from, seen])
      const reply = await scan([`${group[0]!.tag}:running`], [JSON.stringify({ ...wanted, sources: requested, count })])
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
      await Promise.all(groupsOf(open).map(readPages))
      fullPages = true
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

/** Compares runs in the same order as the script. */
function newestFirst([a, , , aBegan]: Row, [b, , , bBegan]: Row): number {
  return Number(bBegan) - Number(aBegan) || Buffer.compare(Buffer.from(b), Buffer.from(a))
}
