import type { Redis } from 'ioredis'
import { QueueError, type StoredEvent } from '../../../../kernel/index.ts'
import type { RedisPort } from '../lib/redis.ts'
import { decodeEvent } from './codec.ts'
import type { Shards } from './shards.ts'

/** The maximum number of log entries in one delivery. Each entry contains the events of an append. */
const STEP = 200
/** How long to wait after a failed read, in milliseconds. */
const RETRY = 500

export interface GlobalFollower {
  /** Call this when a shard has new events. */
  wake(shard: number): void
  /** Resolves once all events that are stored now have been delivered. */
  replay(): Promise<void>
  stop(): void
}

type LogEntry = [id: string, fields: string[]]

/**
 * Follows all streams by reading the logs of the shards. Its cursor is a JSON object with the id of the last delivered log entry of
 * each shard.
 */
export async function createGlobalFollower(
  { client }: RedisPort,
  { tags }: Shards,
  after: string | undefined,
  deliver: (events: readonly StoredEvent[], cursor: string) => void,
): Promise<GlobalFollower> {
  const cursors = after === undefined ? await currentEnds() : parseCursor(after)
  const dirty = new Set<number>()
  let pumping: Promise<void> | undefined
  let stopped = false

  async function currentEnds(): Promise<Map<number, string>> {
    const ends = await Promise.all(
      tags.map(async (tag) => (await (client as Redis).xrevrange(`${tag}:log`, '+', '-', 'COUNT', 1))[0]?.[0]),
    )
    return new Map(ends.flatMap((id, shard) => (id === undefined ? [] : [[shard, id]])))
  }

  /** Delivers the next entries of a shard. Resolves with true if there may be more. */
  async function step(shard: number): Promise<boolean> {
    const from = cursors.get(shard)
    const start = from === undefined ? '-' : `(${from}`
    const reply = await (client as Redis).xrange(`${tags[shard]}:log`, start, '+', 'COUNT', STEP)
    const entries = reply as LogEntry[]
    if (entries.length === 0 || stopped) return false
    const events = entries.flatMap(decodeEntry)
    cursors.set(shard, entries.at(-1)![0])
    deliver(events, JSON.stringify(Object.fromEntries(cursors)))
    return entries.length === STEP
  }

  async function pump(): Promise<void> {
    // The iteration over a Set includes shards that are added meanwhile.
    for (const shard of dirty) {
      // Deleted before the read, so that a shard with events during the read is read again.
      dirty.delete(shard)
      try {
        if (await step(shard)) dirty.add(shard)
      } catch {
        if (!stopped) setTimeout(() => wake(shard), RETRY).unref()
      }
      if (stopped) break
    }
    pumping = undefined
  }

  function wake(shard: number): void {
    dirty.add(shard)
    pumping ??= pump()
  }

  return {
    wake,
    async replay() {
      for (const shard of tags.keys()) wake(shard)
      await pumping
    },
    stop() {
      stopped = true
    },
  }
}

/** Decodes a log entry. Its fields are `s` (the stream), `n` (the `seq` of the first event), and one `e` for each event. */
function decodeEntry([id, [, stream, , first, ...texts]]: LogEntry): StoredEvent[] {
  const events: StoredEvent[] = []
  for (let index = 0; index < texts.length / 2; index++) {
    events.push(decodeEvent(stream!, Number(first) + index, id, texts[2 * index + 1]!))
  }
  return events
}

function parseCursor(text: string): Map<number, string> {
  try {
    const given: unknown = JSON.parse(text)
    if (typeof given === 'object' && given !== null && !Array.isArray(given)) {
      const entries = Object.entries(given).map(([shard, id]): [string, string] => [shard, String(id)])
      if (entries.every(([shard, id]) => /^\d{1,4}$/.test(shard) && /^\d{1,15}-\d{1,15}$/.test(id))) {
        return new Map(entries.map(([shard, id]) => [Number(shard), id]))
      }
    }
  } catch {
    // Thrown below.
  }
  const got = text.slice(0, 100)
  throw new QueueError('OPTION_INVALID', `"after" of "*" must be a cursor that a listener received; got "${got}".`)
}
