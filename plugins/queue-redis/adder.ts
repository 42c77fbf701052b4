import type { JobDraft } from '../../kernel/index.ts'
import { defineScript, type RedisPort } from '../_shared/redis.ts'
import { encodeData, encodeOptions, encodePriority, runIdOf } from './job-codec.ts'
import { ADD } from './job-scripts.ts'
import { encodeId } from './names.ts'
import type { Queues } from './queues.ts'

/** How many jobs that are enqueued one by one, and characters, share a call at most. */
const MOST_JOBS = 100
const MOST_TEXT = 256 * 1024

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
  const script = defineScript(redis.client, ADD)
  let pending: Pending[] = []

  function encode(draft: JobDraft): (string | number)[] {
    const { queue, id, name, data, createdAt, runAt, priority } = draft
    queues.note(queue)
    return [
      ...[queues.baseOf(queue), encodeId(id), name, encodeData(data), encodeOptions(draft)],
      ...[createdAt, runAt, encodePriority(priority)],
    ]
  }

  /** One call for each slot: on a Cluster each queue has one of its own. */
  async function call(drafts: readonly JobDraft[], args: readonly (string | number)[][]): Promise<string[]> {
    const keys = [...new Set(drafts.map(({ queue }) => `${queues.baseOf(queue)}:meta`))]
    const answers = (await script(keys, args.flat())) as string[]
    return answers.map((answer, index) => {
      if (answer === 'waiting' || answer === 'delayed') return answer
      const { queue, id } = drafts[index]!
      return runIdOf(queue, encodeId(id), answer)
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

  function send(batch: readonly Pending[]): void {
    call(
      batch.map(({ draft }) => draft),
      batch.map(({ args }) => args),
    ).then(
      (answers) => batch.forEach(({ resolve }, index) => resolve(answers[index]!)),
      (error: unknown) => batch.forEach(({ reject }) => reject(error)),
    )
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
