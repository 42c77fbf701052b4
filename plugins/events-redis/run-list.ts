import type { RunFilter, RunInfo } from '../../kernel/index.ts'
import { defineScript, type RedisPort } from '../_shared/redis.ts'
import { decodeRun } from './codec.ts'
import { LIST_RUNS } from './scripts.ts'
import { inGroups, type Shards } from './shards.ts'

/** JSON has no notation for infinity. */
const MOST_RUNS = 1e9

/** Each shard answers its newest, and the newest of all are taken from those. */
export function createRunList(redis: RedisPort, shards: Shards) {
  const list = defineScript(redis.client, LIST_RUNS)

  return async ({ limit = 100, ...filter }: RunFilter = {}): Promise<RunInfo[]> => {
    const { status, name, queue, flow, hideInternal = false } = filter
    const answers = await inGroups(redis, shards, async (tags) => {
      const wanted = { tags, limit: Math.min(limit, MOST_RUNS), s: status, n: name, q: queue, flow, hideInternal }
      return (await list([`${tags[0]}:running`], [JSON.stringify(wanted)])) as [string, ...string[]][]
    })
    // When it began, the third field, is finer in the store than what a run tells.
    const rows = answers.flat().toSorted((a, b) => Number(b[3]) - Number(a[3]))
    return rows.slice(0, limit).map(([runId, ...fields]) => decodeRun(runId, fields))
  }
}
