import type { RunFilter, RunInfo } from '../../kernel/index.ts'
import { defineScript, type RedisPort } from '../_shared/redis.ts'
import { decodeRun } from './codec.ts'
import { LIST_RUNS } from './scripts.ts'
import { inGroups, type Shards } from './shards.ts'

/** JSON has no notation for infinity. */
const MOST_RUNS = 1e9

/** A run and its fields in the order of `RUN_FIELDS`. */
type Row = [runId: string, status: string, names: string, began: string, ...others: string[]]

/** Each shard answers its newest, and the newest of all are taken from those. */
export function createRunList(redis: RedisPort, shards: Shards) {
  const list = defineScript(redis, LIST_RUNS)

  /** When a run began, which is finer in the store than what a run tells; for one that is gone, the end of its millisecond. */
  async function beganOf({ runId, startedAt }: NonNullable<RunFilter['after']>): Promise<string> {
    const began = await redis.client.hget(`${shards.tagOf(runId)}:r:${runId}`, 'b')
    return Number.parseInt(began ?? '', 10) === startedAt ? began! : `${startedAt}.9999`
  }

  return async ({ limit = 100, ...filter }: RunFilter = {}): Promise<RunInfo[]> => {
    const { status, name, queue, flow, tag, hideInternal = false, startedBefore: before, after } = filter
    const page = after && { began: await beganOf(after), last: after.runId }
    const answers = await inGroups(redis, shards, async (tags) => {
      const bounds = { limit: Math.min(limit, MOST_RUNS), before: before === Infinity ? undefined : before, ...page }
      const wanted = { shards: tags, ...bounds, s: status, n: name, q: queue, flow, tag, hideInternal }
      return (await list([`${tags[0]}:running`], [JSON.stringify(wanted)])) as Row[]
    })
    const rows = answers.flat().toSorted(newestFirst)
    return rows.slice(0, limit).map(([runId, ...fields]) => decodeRun(runId, fields))
  }
}

/** As the script orders them. */
function newestFirst([a, , , aBegan]: Row, [b, , , bBegan]: Row): number {
  return Number(bBegan) - Number(aBegan) || Buffer.compare(Buffer.from(b), Buffer.from(a))
}
