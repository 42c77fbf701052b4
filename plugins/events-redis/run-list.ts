import type { RunFilter, RunInfo } from '../../kernel/index.ts'
import { defineScript, type RedisPort } from '../_shared/redis.ts'
import { decodeRun } from './codec.ts'
import { LIST_RUNS } from './scripts.ts'
import { inGroups, type Shards } from './shards.ts'

/** Each shard answers its newest, and the newest of all are taken from those. */
export function createRunList(redis: RedisPort, shards: Shards) {
  const list = defineScript(redis.client, LIST_RUNS)

  return async ({ limit = 100, ...filter }: RunFilter = {}): Promise<RunInfo[]> => {
    const { status, name, queue, flow, hideInternal = false } = filter
    const answers = await inGroups(redis, shards, async (tags) => {
      const wanted = { tags, limit, s: status, n: name, q: queue, flow, hideInternal }
      return (await list([`${tags[0]}:runs`], [JSON.stringify(wanted)])) as [string, ...string[]][]
    })
    // The sixth field, when it began, is finer than what a run tells.
    const rows = answers.flat().toSorted((a, b) => Number(b[6]) - Number(a[6]))
    return rows.slice(0, limit).map(([runId, ...fields]) => decodeRun(runId, fields))
  }
}
