import type { ExpirePolicy } from '../../kernel/index.ts'
import { defineScript, type RedisPort } from '../_shared/redis.ts'
import { FORGET, PEEK_ENDED } from './scripts.ts'
import { inGroups, type Shards } from './shards.ts'

/** How many runs one call forgets at most: Redis does nothing else meanwhile. */
const MOST_FORGOTTEN = 500

interface Ended {
  tag: string
  name: string
  endedAt: number
}

/** What ended first of all shards goes first; the cost is that of what goes. */
export function createExpiry(redis: RedisPort, shards: Shards) {
  const peekScript = defineScript(redis.client, PEEK_ENDED)
  const forgetScript = defineScript(redis.client, FORGET)

  async function peek(outcome: string, before: string, rows: number) {
    const answers = await inGroups(redis, shards, async (tags) => {
      const reply = await peekScript(
        tags.map((tag) => `${tag}:${outcome}`),
        [before, rows],
      )
      return (reply as [number, number, string[]][]).map((answer, index) => ({ tag: tags[index]!, answer }))
    })
    return answers.flat()
  }

  /** The oldest, as far as it is certain that no shard holds an older one. */
  function oldest(peeked: Awaited<ReturnType<typeof peek>>): Ended[] {
    const found: Ended[] = []
    let certain = Infinity
    for (const { tag, answer } of peeked) {
      const [count, , rows] = answer
      for (let index = 0; index < rows.length; index += 2) {
        found.push({ tag, name: rows[index]!, endedAt: Number(rows[index + 1]) })
      }
      if (rows.length / 2 < count && rows.length > 0) certain = Math.min(certain, Number(rows.at(-1)))
    }
    return found.filter(({ endedAt }) => endedAt <= certain).toSorted((a, b) => a.endedAt - b.endedAt)
  }

  async function forget(outcome: string, runs: readonly Ended[]): Promise<number> {
    const groups = redis.cluster ? [...Map.groupBy(runs, ({ tag }) => tag).values()] : [runs]
    const calls = groups
      .filter((group) => group.length > 0)
      .map((group) =>
        forgetScript(
          [`${group[0]!.tag}:${outcome}`],
          [outcome, ...group.flatMap(({ tag, name }) => [tag, name])],
        ),
      )
    return (await Promise.all(calls)).reduce<number>((sum, count) => sum + Number(count), 0)
  }

  return async ({ outcome, endedBefore, keep }: ExpirePolicy): Promise<number> => {
    const before = endedBefore === Infinity ? '+inf' : `(${endedBefore}`
    const counts = await peek(outcome, before, 0)
    const total = counts.reduce((sum, { answer }) => sum + answer[0], 0)
    const old = counts.reduce((sum, { answer }) => sum + answer[1], 0)
    let left = Math.max(old, total - keep)
    let expired = 0
    while (left > 0) {
      const batch = Math.min(left, MOST_FORGOTTEN)
      const rows = Math.ceil((2 * batch) / shards.tags.length) + 2
      const going = oldest(await peek(outcome, before, rows)).slice(0, batch)
      if (going.length === 0) return expired
      expired += await forget(outcome, going)
      left -= going.length
    }
    return expired
  }
}
