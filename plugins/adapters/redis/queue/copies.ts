import { hasGivenId, type JobRecord, type QueueProvider } from '../../../../kernel/index.ts'
import { encodeJson } from '../../../lib/json.ts'
import { queueCalls, type CopiedQueue, type JobCopies, type RememberedId } from '../../lib/store-copy.ts'
import { escapePattern, nodesOf, pagesOf } from '../lib/keys.ts'
import { defineScript, type RedisPort } from '../lib/redis.ts'
import { fairFieldOf, furtherIndexes } from './adder.ts'
import { COPY_JOBS, REMEMBER } from './copy-scripts.ts'
import { encodeData, encodeKnown, encodeOptions, encodePriority, runIdOf } from './job-codec.ts'
import { createJobSearch } from './job-search.ts'
import { decodeId, encodeId, OWN } from './names.ts'
import type { Queues } from './queues.ts'

/** Creates the port `jobCopies`. */
export function createRedisJobCopies(
  redis: RedisPort,
  queues: Queues,
  provider: CopiedQueue & Pick<QueueProvider, 'getQueues'>,
): JobCopies {
  const { client } = redis
  const copy = defineScript(redis, COPY_JOBS)
  const remember = defineScript(redis, REMEMBER)

  /** Calls a script for each queue of the items. Each queue of a Cluster has its own slot. */
  async function byQueue<T extends { queue: string }>(
    script: typeof copy,
    items: readonly T[],
    encode: (item: T) => (string | number)[],
  ): Promise<void> {
    for (const [queue, some] of Map.groupBy(items, (item) => item.queue)) {
      queues.record(queue)
      const base = queues.baseOf(queue)
      await script([`${base}:meta`], [base, ...some.flatMap(encode)])
    }
  }

  return {
    async queues() {
      const [names, known] = await Promise.all([provider.getQueues(), queues.list()])
      const settings = await Promise.all(
        known.map((queue) => client.hmget(`${queues.baseOf(queue)}:meta`, 'paused', 'concurrency', 'max')),
      )
      const set = known.filter((_queue, index) => settings[index]!.some((value) => value !== null))
      return [...new Set([...names, ...set])]
    },
    ...queueCalls(provider),
    jobs: createJobSearch(redis, queues).pages,
    async *remembered() {
      for (const queue of await queues.list()) {
        const base = queues.baseOf(queue)
        // Queues that have never had a chosen id, or whose ids have all expired, are not searched.
        if (Number((await client.hget(`${base}:meta`, `nq:known-until`)) ?? 0) <= Date.now() - CLOCK_SKEW) continue
        const start = `${base}:${OWN}known:`
        for (const node of nodesOf(client)) {
          for await (const ids of pagesOf(node, `${escapePattern(start)}*`, (key) => key.slice(start.length))) {
            const found = await Promise.all(ids.map((id) => rememberedOf(queue, start, id)))
            yield found.filter((one) => one !== undefined)
          }
        }
      }
    },
    write: (jobs) => byQueue(copy, jobs, (job) => [encodeCopy(job)]),
    remember: (ids) =>
      byQueue(remember, ids, ({ id, runId, until }) => [encodeId(id), encodeKnown({ runId }), Math.ceil(until)]),
  }

  async function rememberedOf(queue: string, start: string, storedId: string): Promise<RememberedId | undefined> {
    const key = `${start}${storedId}`
    const [options, left] = await Promise.all([client.get(key), client.pttl(key)])
    if (options === null || left <= 0) return undefined
    return { queue, id: decodeId(storedId), runId: runIdOf(queue, storedId, options), until: Date.now() + left }
  }
}

/** How much the clock of Redis may differ from the clock of this machine, in milliseconds. */
const CLOCK_SKEW = 3_600_000

/** Encodes a job for the script `COPY_JOBS`, which documents the members. */
function encodeCopy(job: JobRecord): string {
  const { id, name, createdAt, runAt, finishedAt, state, priority } = job
  const ended = state !== 'waiting' && state !== 'delayed'
  const encoded = String(encodePriority(priority))
  const given = hasGivenId(job)
  const fair = fairFieldOf(job)
  const fields: Record<string, string | number | undefined> = {
    name,
    data: encodeData(job.data),
    opts: encodeOptions(job),
    timestamp: createdAt,
    delay: 0,
    priority: encoded,
    'nq:known': given ? encodeKnown(job) : undefined,
    'nq:fair': fair === '' ? undefined : fair,
    'nq:at': runAt === createdAt ? undefined : runAt,
    ...usedFields(job),
  }
  const flat = Object.entries(fields).flatMap(([field, value]) => (value === undefined ? [] : [field, String(value)]))
  return JSON.stringify({
    ...{ i: encodeId(id), n: name, c: String(createdAt), p: encoded, o: furtherIndexes(job) },
    ...{ s: state, at: ended ? finishedAt : runAt, k: given, q: fair, f: flat },
  })
}

/** Returns the fields of a job that was claimed or has ended. `ats` makes the next claim read the others. */
function usedFields(job: JobRecord): Record<string, string | number | undefined> {
  const { state, attemptsMade, claims, crashes, lapses, round, startedAt, finishedAt, progress, result, error } = job
  const used = claims + attemptsMade + crashes + round > 0 || progress !== undefined
  return {
    // BullMQ counts the successful attempt as well.
    atm: state === 'completed' ? attemptsMade + 1 : attemptsMade || undefined,
    stc: crashes || undefined,
    ats: used ? claims : undefined,
    progress,
    'nq:round': round || undefined,
    'nq:lapses': lapses,
    processedOn: startedAt,
    finishedOn: finishedAt,
    returnvalue: state === 'completed' && result !== undefined ? encodeJson(result) : undefined,
    failedReason: error?.message,
    'nq:error': error && JSON.stringify(error),
    'nq:ended': state === 'failed' ? 1 : undefined,
  }
}
