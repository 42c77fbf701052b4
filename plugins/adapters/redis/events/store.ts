import {
  QueueError,
  type EventDraft,
  type EventStore,
  type Kernel,
  type ReadOptions,
  type StoredEvent,
} from '../../../../kernel/index.ts'
import { decodeJson, encodeJson } from '../../../lib/json.ts'
import { defineScript, type RedisPort } from '../lib/redis.ts'
import { copyValue } from '../../../lib/value.ts'
import { createAppender } from './appender.ts'
import { decodeEvent, decodeRun, hashFieldOf, RUN_FIELDS } from './codec.ts'
import { createExpiry, createForgetter } from './expiry.ts'
import { createRunList } from './run-list.ts'
import { BY_KEY, GET_SNAPSHOT, PUT_SNAPSHOT, READ, TRIM } from './scripts.ts'
import { createShards } from './shards.ts'
import { createSubscribers } from './subscribers.ts'

/** The maximum number of events that one call reads. */
const PAGE = 500

export function createRedisEventStore(redis: RedisPort, kernel: Pick<Kernel, 'config' | 'reporter'>): EventStore {
  const { client } = redis
  const shards = createShards(redis)
  const append = createAppender(redis, shards)
  const readScript = defineScript(redis, READ)
  const byKey = defineScript(redis, BY_KEY)
  const putSnapshot = defineScript(redis, PUT_SNAPSHOT)
  const getSnapshot = defineScript(redis, GET_SNAPSHOT)
  const trim = defineScript(redis, TRIM)

  const keyOf = (stream: string): string => `${shards.tagOf(stream)}:r:${stream}`

  /** Calls a script with the key of a stream, the tag of its shard, its name, and further arguments. */
  const onStream = (script: typeof readScript, stream: string, ...args: (string | number)[]): Promise<unknown> =>
    script([keyOf(stream)], [shards.tagOf(stream), stream, ...args])

  async function head(stream: string): Promise<number> {
    return Number((await client.hget(keyOf(stream), 'h')) ?? 0)
  }

  function copyDraft(draft: EventDraft): EventDraft {
    const { type, data } = draft
    if (data === undefined) return { ...draft }
    return { ...draft, data: copyValue(data, kernel.config.payloadLimit, `data of event "${type}"`) }
  }

  async function page(stream: string, after: number, last: number, count: number, reverse: boolean) {
    const reply = await onStream(readScript, stream, after, last, count, reverse ? 1 : 0)
    const [trimmed, from, ...entries] = reply as [string, string, ...string[]]
    if (after < Number(trimmed)) {
      const hint = `Its events start at seq ${Number(trimmed) + 1}. Start from a snapshot.`
      throw new QueueError('EVENTS_TRIMMED', `The events of run ${stream} after seq ${after} were trimmed. ${hint}`, {
        details: { trimmed: Number(trimmed) },
      })
    }
    const events: StoredEvent[] = []
    for (let index = 0; index < entries.length; index += 2) {
      events.push(decodeEvent(stream, Number(from) + index / 2, entries[index]!, entries[index + 1]!))
    }
    return reverse ? events.toReversed() : events
  }

  async function read(stream: string, options: ReadOptions = {}): Promise<StoredEvent[]> {
    const { until, types, limit = Infinity, reverse = false } = options
    let after = options.after ?? 0
    let last = typeof until === 'number' ? until : Number.MAX_SAFE_INTEGER
    const moment = until instanceof Date ? until.getTime() : Infinity
    const found: StoredEvent[] = []
    for (;;) {
      // Filters apply after reading. Without a filter, a limited read requests only as many events as it needs.
      const unfiltered = types === undefined && moment === Infinity
      const count = unfiltered ? Math.max(1, Math.min(PAGE, limit - found.length)) : PAGE
      const events = await page(stream, after, last, count, reverse)
      for (const event of events) {
        if (found.length >= limit) return found
        if (event.ts <= moment && (!types || types.includes(event.type))) found.push(event)
      }
      if (events.length < count || found.length >= limit) return found
      if (reverse) last = events.at(-1)!.seq - 1
      else if (events.at(-1)!.ts > moment) return found
      else after = events.at(-1)!.seq
    }
  }

  const expiry = createExpiry(redis, shards)
  const subscribers = createSubscribers(redis, shards, { read, head }, kernel.reporter)

  return {
    capabilities: { durable: true, shared: true, globalCursor: true },
    append: (stream, drafts, options = {}) => append(stream, drafts.map(copyDraft), options),
    read,
    head,
    async byKey(stream, key) {
      const [seq, id, text] = (await onStream(byKey, stream, hashFieldOf('k', stream, key))) as string[]
      return text === undefined ? undefined : decodeEvent(stream, Number(seq), id!, text)
    },
    snapshots: {
      async get(stream, reducer, until = Number.MAX_SAFE_INTEGER) {
        const [seq, state] = (await onStream(getSnapshot, stream, reducer, until)) as string[]
        return state === undefined ? undefined : { reducer, seq: Number(seq), state: decodeJson(state) }
      },
      async put(stream, { reducer, seq, state }) {
        await onStream(putSnapshot, stream, reducer, seq, encodeJson(state))
      },
    },
    subscribe: (stream, options, listener) => subscribers.subscribe(stream, options, listener),
    publish: (stream, messages) => subscribers.publish(stream, messages),
    runs: {
      async get(runId) {
        const fields = await client.hmget(keyOf(runId), ...RUN_FIELDS)
        return fields[0] ? decodeRun(runId, fields) : undefined
      },
      list: createRunList(redis, shards),
    },
    expire: expiry.run,
    forget: createForgetter(redis, shards),
    checkHealth: () => redis.checkHealth(),
    async trim(stream, seq) {
      let result: unknown
      do result = await onStream(trim, stream, seq)
      while (result === 1)
      if (result !== -1) return
      const message = `Run ${stream} was not trimmed: no snapshot covers seq ${seq}. Store a snapshot first.`
      throw new QueueError('EVENTS_CONFLICT', message)
    },
    close() {
      subscribers.close()
      return expiry.close()
    },
  }
}
