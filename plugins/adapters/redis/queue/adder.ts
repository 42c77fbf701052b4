import { hasGivenId, QueueError, type JobDraft } from '../../../../kernel/index.ts'
import { defineScript, isFault, type RedisPort } from '../lib/redis.ts'
import { encodeData, encodeKnown, encodeOptions, encodePriority, runIdOf } from './job-codec.ts'
import { ADD } from './job-scripts.ts'
import { encodeId } from './names.ts'
import type { Queues } from './queues.ts'

/** How many jobs that are enqueued one by one, and characters, share a call at most. */
const MOST_JOBS = 100
const MOST_TEXT = 256 * 1024
/** How many jobs one command carries at most: Redis takes a million arguments. */
const MOST_AT_ONCE = 5000

interface Pending {
  draft: JobDraft
  args: (string | number)[]
  resolve: (answer: string) => void
  reject: (error: unknown) => void
}

/**
 * Adds jobs. Those that are enqueued in one turn of the event loop travel together. The answer is
 * where a job went, or the run of the job that has its id already.
 */
export function createAdder(redis: RedisPort, queues: Queues) {
  const script = defineScript(redis, ADD)
  const limit = redis.enqueueTimeout
  let pending: Pending[] = []

  function encode(draft: JobDraft): (string | number)[] {
    const { queue, id, name, data, createdAt, runAt, priority } = draft
    queues.note(queue)
    return [
      ...[queues.baseOf(queue), encodeId(id), name, encodeData(data), encodeOptions(draft)],
      ...[createdAt, runAt, encodePriority(priority), hasGivenId(draft) ? encodeKnown(draft) : ''],
    ]
  }

  /** One call for each slot: on a Cluster each queue has one of its own. */
  async function call(drafts: readonly JobDraft[], args: readonly (string | number)[][]): Promise<string[]> {
    const keys = [...new Set(drafts.map(({ queue }) => `${queues.baseOf(queue)}:meta`))]
    const sent = args.length <= MOST_AT_ONCE ? script(keys, args.flat()) : transaction(keys, args)
    const answers = await inTime(sent)
    return (answers as string[]).map((answer, index) => {
      if (answer === 'waiting' || answer === 'delayed') return answer
      const { queue, id } = drafts[index]!
      return runIdOf(queue, encodeId(id), answer)
    })
  }

  /** Many commands that take effect together. */
  async function transaction(keys: readonly string[], args: readonly (string | number)[][]): Promise<string[]> {
    const multi = redis.client.multi()
    for (let from = 0; from < args.length; from += MOST_AT_ONCE) {
      const some = args.slice(from, from + MOST_AT_ONCE).flat()
      multi.call('eval', [ADD, keys.length, ...keys, ...some])
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
    const answers: string[] = []
    const groups = Map.groupBy(drafts.keys(), (index) => drafts[index]!.queue)
    await Promise.all(
      [...groups.values()].map(async (indexes) => {
        const found = await call(
          indexes.map((index) => drafts[index]!),
          indexes.map((index) => args[index]!),
        )
        for (const [position, index] of indexes.entries()) answers[index] = found[position]!
      }),
    )
    return answers
  }

  function flush(): void {
    const all = pending
    pending = []
    const groups = redis.cluster ? Map.groupBy(all, ({ draft }) => draft.queue).values() : [all]
    for (const group of groups) {
      let from = 0
      while (from < group.length) {
        let to = from
        for (let size = 0; to < group.length && to - from < MOST_JOBS && size < MOST_TEXT; to++) {
          size += String(group[to]!.args[3]).length
        }
        send(group.slice(from, to))
        from = to
      }
    }
  }

  /** What Redis refuses for the sake of one job is halved until that one stands alone. */
  function send(batch: readonly Pending[]): void {
    call(
      batch.map(({ draft }) => draft),
      batch.map(({ args }) => args),
    ).then(
      (answers) => batch.forEach(({ resolve }, index) => resolve(answers[index]!)),
      (error: unknown) => {
        if (batch.length === 1 || !isFault(error)) return batch.forEach(({ reject }) => reject(error))
        const half = batch.length >> 1
        send(batch.slice(0, half))
        send(batch.slice(half))
      },
    )
  }

  /** Answers in time, whatever becomes of the store. */
  function inTime<T>(answer: Promise<T>): Promise<T> {
    if (limit === Infinity) return answer
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        const why = redis.outage.reason?.message ?? 'It did not answer.'
        const hint = 'It may be stored nevertheless; enqueue it again with the same id. See redis.enqueueTimeout.'
        reject(new QueueError('STORE_UNAVAILABLE', `Redis did not take a job within ${limit} ms. ${why} ${hint}`))
      }, limit)
      answer.then(resolve, reject).finally(() => clearTimeout(timer))
    })
  }

  return {
    many,
    one(draft: JobDraft): Promise<string> {
      const args = encode(draft)
      return new Promise((resolve, reject) => {
        if (pending.push({ draft, args, resolve, reject }) === 1) process.nextTick(flush)
      })
    },
  }
}
