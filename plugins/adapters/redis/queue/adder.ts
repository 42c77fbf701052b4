import { hasGivenId, QueueError, type JobDraft } from '../../../../kernel/index.ts'
import { fairShareOf } from '../../lib/fair-share.ts'
import { createGroupCommit, type GroupCommit } from '../../lib/group-commit.ts'
import { defineScript, isFault, type RedisPort } from '../lib/redis.ts'
import { encodeData, encodeKnown, encodeOptions, encodePriority, runIdOf } from './job-codec.ts'
import { ADD, ADD_FAIR } from './add-scripts.ts'
import { encodeFair } from './fair-lua.ts'
import { encodeId } from './names.ts'
import type { Queues } from './queues.ts'

/** The maximum number of jobs and of characters in a call for jobs that are enqueued one by one. */
const MAX_JOBS = 100
const MAX_TEXT = 256 * 1024
/** The maximum number of jobs in one command. Redis accepts a million arguments. */
const MAX_PER_COMMAND = 5000

/** Returns the indexes of a job except the index of its name, separated by NUL. */
export function furtherIndexes({ id, runId, tags }: JobDraft): string {
  if (runId === id && !tags) return ''
  const run = runId === id ? [] : [`r:${runId}`]
  return [...run, ...(tags ?? []).map((tag) => `t:${tag}`)].join('\0')
}

/** Returns the field `nq:fair` of a job, or `''`. */
export function fairFieldOf(draft: JobDraft): string {
  const share = fairShareOf(draft)
  return share ? encodeFair(share) : ''
}

interface Pending {
  draft: JobDraft
  args: (string | number)[]
}

/**
 * Creates the functions that add jobs. Jobs that are enqueued in one turn of the event loop share a call. The result for a job is its
 * state (`waiting` or `delayed`), or the run of the existing job with its id.
 */
export function createAdder(redis: RedisPort, queues: Queues) {
  const plain = defineScript(redis, ADD)
  const fair = defineScript(redis, ADD_FAIR)
  const limit = redis.enqueueTimeout
  /** One for all queues, or one for each of them on a Cluster. */
  const groups = new Map<string, GroupCommit<Pending, string>>()

  function encode(draft: JobDraft): (string | number)[] {
    const { queue, id, name, data, createdAt, runAt, priority } = draft
    queues.record(queue)
    return [
      ...[queues.baseOf(queue), encodeId(id), name, encodeData(data), encodeOptions(draft)],
      ...[createdAt, runAt, encodePriority(priority), hasGivenId(draft) ? encodeKnown(draft) : ''],
      furtherIndexes(draft),
    ]
  }

  /** Sends one call. On a Cluster, each queue has its own slot, so all jobs of a call are of one queue. */
  async function call(drafts: readonly JobDraft[], args: readonly (string | number)[][]): Promise<string[]> {
    const isFair = drafts.some(({ options }) => options.fairKey !== undefined)
    if (isFair) args = args.map((one, index) => [...one, fairFieldOf(drafts[index]!)])
    const keys = [...new Set(drafts.map(({ queue }) => `${queues.baseOf(queue)}:meta`))]
    const sent =
      args.length <= MAX_PER_COMMAND
        ? (isFair ? fair : plain)(keys, args.flat())
        : transaction(isFair ? ADD_FAIR : ADD, keys, args)
    const results = await withTimeout(sent)
    return (results as string[]).map((result, index) => {
      if (result === 'waiting' || result === 'delayed') return result
      const { queue, id } = drafts[index]!
      return runIdOf(queue, encodeId(id), result)
    })
  }

  /** Sends several commands that take effect together. */
  async function transaction(
    lua: string,
    keys: readonly string[],
    args: readonly (string | number)[][],
  ): Promise<string[]> {
    const multi = redis.client.multi()
    for (let from = 0; from < args.length; from += MAX_PER_COMMAND) {
      const some = args.slice(from, from + MAX_PER_COMMAND).flat()
      multi.call('eval', [lua, keys.length, ...keys, ...some])
    }
    const replies = (await multi.exec()) ?? []
    return replies.flatMap(([error, reply]) => {
      if (error) throw error
      return reply as string[]
    })
  }

  async function many(drafts: readonly JobDraft[]): Promise<string[]> {
    const args = drafts.map(encode)
    if (!redis.cluster) return drafts.length === 0 ? [] : call(drafts, args)
    const results: string[] = []
    const groups = Map.groupBy(drafts.keys(), (index) => drafts[index]!.queue)
    await Promise.all(
      [...groups.values()].map(async (indexes) => {
        const found = await call(
          indexes.map((index) => drafts[index]!),
          indexes.map((index) => args[index]!),
        )
        for (const [position, index] of indexes.entries()) results[index] = found[position]!
      }),
    )
    return results
  }

  function groupOf(queue: string): GroupCommit<Pending, string> {
    const key = redis.cluster ? queue : ''
    const known = groups.get(key)
    if (known) return known
    const group = createGroupCommit<Pending, string>({
      commit: (batch) =>
        call(
          batch.map(({ draft }) => draft),
          batch.map(({ args }) => args),
        ),
      ...{ maxItems: MAX_JOBS, maxBytes: MAX_TEXT, sizeOf: ({ args }) => String(args[3]).length },
      ...{ parallel: Infinity, soon: true, splitOn: isFault },
    })
    groups.set(key, group)
    return group
  }

  /** Rejects if the store does not respond within `enqueueTimeout`. */
  function withTimeout<T>(response: Promise<T>): Promise<T> {
    if (limit === Infinity) return response
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const why = redis.outage.reason?.message ?? 'Redis did not respond.'
        const hint = 'The job may be stored nevertheless; enqueue it again with the same id. See redis.enqueueTimeout.'
        reject(new QueueError('STORE_UNAVAILABLE', `Redis did not store a job within ${limit} ms. ${why} ${hint}`))
      }, limit)
      response.then(resolve, reject).finally(() => clearTimeout(timer))
    })
  }

  return {
    many,
    one: (draft: JobDraft): Promise<string> => groupOf(draft.queue).push({ draft, args: encode(draft) }),
  }
}
