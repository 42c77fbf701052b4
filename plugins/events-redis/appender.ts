import { randomUUID } from 'node:crypto'
import type { AppendOptions, AppendRefusal, AppendResult, EventDraft, StoredEvent } from '../../kernel/index.ts'
import { defineScript, type RedisPort } from '../_shared/redis.ts'
import { APPEND } from './append-script.ts'
import { encodeEvent, type StoredPatch } from './codec.ts'
import type { Shards } from './shards.ts'

/** How many appends, and characters, one call carries at most: Redis does nothing else meanwhile. */
const MOST_APPENDS = 64
const MOST_TEXT = 256 * 1024

interface Pending {
  stream: string
  /** Drafts with data of their own. */
  events: readonly EventDraft[]
  /** Conditions and keys, as JSON for the script. */
  header: string
  texts: readonly string[]
  size: number
  resolve: (result: AppendResult) => void
  reject: (error: unknown) => void
}

/**
 * Appends that are asked for while a call is on its way travel together in the next one. One call at
 * a time on a lane keeps the order, and lets the store tell a call that comes again from a new one.
 */
export function createAppender(redis: RedisPort, shards: Shards) {
  const append = defineScript(redis.client, APPEND)
  const client = randomUUID()
  const publish = redis.cluster ? 'SPUBLISH' : 'PUBLISH'
  const lanes = new Map<string, ReturnType<typeof createLane>>()

  function createLane(tag: string) {
    const callKey = `${tag}:call:${client}`
    let queue: Pending[] = []
    let calls = 0
    let busy = false
    let scheduled = false

    function schedule(): void {
      if (scheduled || busy) return
      scheduled = true
      // After all that is going on now: a job that starts and ends meanwhile stores both at once.
      process.nextTick(flush)
    }

    function take(): Pending[] {
      let size = 0
      let count = 0
      while (count < queue.length && count < MOST_APPENDS && (count === 0 || size < MOST_TEXT)) {
        size += queue[count]!.size
        count++
      }
      const taken = queue.slice(0, count)
      queue = queue.slice(count)
      return taken
    }

    function flush(): void {
      scheduled = false
      const batch = take()
      busy = true
      const headers = batch.map(({ header }) => header)
      const texts = batch.flatMap((one) => one.texts)
      append([`${tag}:log`], [callKey, ++calls, publish, `[${headers.join(',')}]`, ...texts])
        .then(
          (answer) => {
            const answers = (answer as string).split(';')
            for (const [index, one] of batch.entries()) one.resolve(readAnswer(one, answers[index]!))
          },
          (error: unknown) => {
            for (const one of batch) one.reject(error)
          },
        )
        .finally(() => {
          busy = false
          if (queue.length > 0) schedule()
        })
    }

    return (pending: Pending): void => {
      queue.push(pending)
      schedule()
    }
  }

  return (stream: string, events: readonly EventDraft[], options: AppendOptions): Promise<AppendResult> => {
    const { unless, fence, expectedSeq, reopen, run } = options
    const tag = shards.tagOf(stream)
    const keys = events.map(({ key }) => key ?? false)
    const header = JSON.stringify([
      ...[tag, stream, unless ?? false, fence?.job ?? false, fence?.token ?? false],
      ...[expectedSeq ?? false, reopen === true, run === undefined ? false : patchOf(run), keys],
    ])
    const texts = events.map(encodeEvent)
    const size = texts.reduce((sum, text) => sum + text.length, header.length)
    const laneTag = redis.cluster ? tag : shards.tags[0]!
    let lane = lanes.get(laneTag)
    if (!lane) lanes.set(laneTag, (lane = createLane(laneTag)))
    return new Promise((resolve, reject) => lane({ stream, events, header, texts, size, resolve, reject }))
  }
}

function patchOf({ status, name, queue, jobId, flow }: NonNullable<AppendOptions['run']>): StoredPatch {
  return { s: status, n: name, q: queue, j: jobId, w: flow }
}

/** `!reason,head`, or `head,ts` and the positions of those whose key was known. */
function readAnswer({ stream, events }: Pending, answer: string): AppendResult {
  if (answer.startsWith('!')) {
    const [reason, head] = answer.slice(1).split(',')
    return { ok: false, reason: reason as AppendRefusal['reason'], head: Number(head) }
  }
  const [head, ts, ...known] = answer.split(',').map(Number) as [number, number, ...number[]]
  const fresh = known.length === 0 ? events : events.filter((_event, index) => !known.includes(index + 1))
  const first = head - fresh.length + 1
  const stored = fresh.map(({ type, flow, step, stepId, attempt, data, key }, index): StoredEvent => {
    const seq = first + index
    return { seq, id: `${stream}:${seq}`, ts, type, runId: stream, flow, step, stepId, attempt, data, key }
  })
  return { ok: true, events: stored, head }
}
