import type { EventStore, Snapshot } from '../../../../kernel/index.ts'
import { decodeJson, encodeJson } from '../../../lib/json.ts'
import { outOfPlace } from '../../lib/local-events/copies.ts'
import type { EventCopies, StreamEnd, StreamPart } from '../../lib/store-copy.ts'
import { escapePattern, nodesOf, pagesOf, STEP } from '../lib/keys.ts'
import { defineScript, type RedisPort } from '../lib/redis.ts'
import { decodeRun, encodeCopied, encodeNames, hashFieldOf, RUN_FIELDS } from './codec.ts'
import { COPY } from './copy-scripts.ts'
import type { Shards } from './shards.ts'

/** Creates the port `eventCopies`. */
export function createRedisEventCopies(
  redis: RedisPort,
  shards: Shards,
  { read }: Pick<EventStore, 'read'>,
): EventCopies {
  const { client } = redis
  const copy = defineScript(redis, COPY)
  const keyOf = (stream: string): string => `${shards.tagOf(stream)}:r:${stream}`

  /** Returns all fields of a hash. Small steps keep other calls fast. */
  async function fieldsOf(key: string): Promise<Map<string, string>> {
    const fields = new Map<string, string>()
    for (let cursor = '0'; ;) {
      const [next, found] = await client.hscan(key, cursor, 'COUNT', STEP)
      for (let index = 0; index < found.length; index += 2) fields.set(found[index]!, found[index + 1]!)
      if (next === '0') return fields
      cursor = next
    }
  }

  async function end(stream: string): Promise<StreamEnd | undefined> {
    const fields = await fieldsOf(keyOf(stream))
    const [head, trimmed] = [Number(fields.get('h') ?? 0), Number(fields.get('x') ?? 0)]
    if (!fields.has('h')) return undefined
    const fences: [string, number][] = []
    const keys: string[] = []
    for (const [field, value] of fields) {
      const name = nameOf(field, stream)
      if (name === undefined) continue
      if (field[0] === 't' || field[0] === 'T') fences.push([name, Number(value)])
      else if (Number(value) <= trimmed) keys.push(name)
    }
    const run =
      fields.has('s') &&
      decodeRun(
        stream,
        RUN_FIELDS.map((field) => fields.get(field) ?? null),
      )
    return { stream, head, trimmed, fences, keys, ...(run && { run }) }
  }

  return {
    async *streams() {
      for (const node of nodesOf(client)) {
        for (const tag of shards.tags) {
          const start = `${tag}:r:`
          yield* pagesOf(node, `${escapePattern(start)}*`, (key) => key.slice(start.length))
        }
      }
    },
    end,
    events: (stream, after, limit) => read(stream, { after, limit }),
    async snapshots(stream) {
      const stored = await fieldsOf(`${shards.tagOf(stream)}:snap:${stream}`)
      const found = [...stored].map(([field, state]): Snapshot => {
        const at = field.indexOf(':')
        return { reducer: field.slice(at + 1), seq: Number(field.slice(0, at)), state: decodeJson(state) }
      })
      return found.toSorted((a, b) => a.seq - b.seq)
    },
    async write(parts) {
      const byTag = Map.groupBy(parts, ({ stream }) => shards.tagOf(stream))
      for (const [tag, some] of byTag) {
        const texts = some.flatMap(({ events }) => events.map(encodeCopied))
        const header = JSON.stringify(some.map((part) => encodePart(tag, part)))
        const [position, head] = (await copy([`${tag}:log`], [header, ...texts])) as number[]
        if (position === undefined) continue
        const { stream, events } = some[position - 1]!
        throw outOfPlace(stream, events[0]!.seq, head!)
      }
    },
  }
}

/** Encodes a part for the script `COPY`, which documents the members. */
function encodePart(tag: string, { stream, trimmed, events, snapshots = [], end }: StreamPart): object {
  const run = end?.run
  const fields = end && [
    ...end.fences.map(([job, token]) => [hashFieldOf('t', stream, job), String(token)]),
    ...end.keys.map((key) => [hashFieldOf('k', stream, key), '0']),
  ]
  const ownQueue = run && run.status !== 'running' && run.queue?.startsWith('_')
  return {
    t: tag,
    s: stream,
    x: trimmed,
    n: events.length === 0 ? 0 : events[0]!.seq - 1,
    k: events.map(({ key }) => (key === undefined ? false : hashFieldOf('k', stream, key))),
    m: snapshots.map(({ reducer, seq, state }) => [`${seq}:${reducer}`, encodeJson(state)]),
    ...(fields && { f: fields }),
    ...(run && {
      r: {
        s: run.status,
        p: encodeNames(stream, run),
        b: moment(run.startedAt),
        u: String(run.updatedAt),
        ...(run.endedAt !== undefined && { e: moment(run.endedAt) }),
        i: `${ownQueue ? '_' : ''}${run.status}`,
      },
    }),
  }
}

/** Returns a moment with the fraction that the starts and ends of runs have. */
const moment = (at: number): string => `${at}.000`

/** Returns the key or job that a field of a stream is for. See `fieldOf`. */
function nameOf(field: string, stream: string): string | undefined {
  if (field[1] !== ':') return undefined
  const name = field.slice(2)
  if (field[0] === 'k' || field[0] === 't') return name
  return field[0] === 'K' || field[0] === 'T' ? name + stream : undefined
}
