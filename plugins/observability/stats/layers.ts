import type { EventDraft, PluginKernel, ReadOptions, StoredEvent } from '../../../kernel/index.ts'
import { readKept, trimStream } from '../../lib/bounded-stream.ts'
import { Rows, type StoredRow } from './rows.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** A stream of buckets of one length. */
export interface Layer {
  stream: string
  /** The length of a bucket, in milliseconds. */
  step: number
  /** How long buckets are kept, in milliseconds. */
  keep: number
  /** The maximum number of records. With many processes, the finest layer reaches less far back. */
  most: number
}

export const LAYERS: readonly [Layer, Layer, Layer] = [
  { stream: '_stats.10s', step: 10 * SECOND, keep: HOUR, most: 10_000 },
  { stream: '_stats.1m', step: MINUTE, keep: DAY, most: 4000 },
  { stream: '_stats.1h', step: HOUR, keep: 31 * DAY, most: 2000 },
]

/** The data of an event `stats.bucket`. Several records may belong to the same bucket. They add up. */
export interface BucketRecord {
  /** The start of the bucket, in milliseconds since the epoch. */
  ts: number
  rows: readonly StoredRow[]
  /** Identifies the record in the finest layer, which the processes write. */
  id?: string
  /** In the other layers: the `seq` of the last record of the finer layer that this layer contains. */
  through?: number
}

/** How many records are read at once. */
const PAGE = 500
/** The tolerated difference between the clocks of a process and the store, in milliseconds. */
export const SKEW = 5 * MINUTE
/** The maximum size of a record: in bytes, and as a share of `payloadLimit`. */
const [MAX_BYTES, SHARE] = [512 * 1024, 0.9]

export type Layers = ReturnType<typeof createLayers>

/**
 * Stores buckets in three layers. Processes append to the finest layer. `rollUp` copies the new records of a layer into the next layer. The
 * copy and the `seq` up to which it reaches are one append, which the store refuses if another process has appended in the meantime. Each
 * record is therefore copied exactly once, even if processes compete or die. Readers use the layer they need, and the records of finer
 * layers that are not yet in it.
 */
export function createLayers(kernel: PluginKernel) {
  const store = () => kernel.port('events')
  // Records that the next layer does not have are kept, up to twice the number.
  for (const { stream, most } of LAYERS) kernel.declareStreams?.({ names: () => [stream], keep: 2 * most })

  function draft(record: Omit<BucketRecord, 'rows'>, rows: Rows): EventDraft {
    const bytes = Math.min(MAX_BYTES, kernel.config.payloadLimit * SHARE)
    return { type: 'stats.bucket', data: { ...record, rows: rows.toStored(bytes) } }
  }

  const read = (stream: string, options: ReadOptions): Promise<StoredEvent[]> => readKept(kernel, stream, options)

  async function readAll(stream: string, after: number): Promise<StoredEvent[]> {
    const found: StoredEvent[] = []
    for (let from = after; ;) {
      const page = await read(stream, { after: from, limit: PAGE })
      found.push(...page)
      if (page.length < PAGE) return found
      from = page.at(-1)!.seq
    }
  }

  /** Reads the records that were appended since a moment, newest first, and the newest record of the stream. */
  async function since(stream: string, moment: number) {
    const found: StoredEvent[] = []
    let newest: StoredEvent | undefined
    for (let until = await store().head(stream); until > 0;) {
      const page = await read(stream, { after: Math.max(0, until - PAGE), until, reverse: true })
      newest ??= page[0]
      found.push(...page.filter(({ ts }) => ts >= moment))
      const oldest = page.at(-1)
      if (!oldest || oldest.ts < moment) break
      until = oldest.seq - 1
    }
    return { found, newest: dataOf(newest) }
  }

  async function newestOf(stream: string): Promise<BucketRecord | undefined> {
    const head = await store().head(stream)
    return head === 0 ? undefined : dataOf((await read(stream, { after: head - 1, limit: 1 }))[0])
  }

  /**
   * Drops records that are too old or exceed the maximum number. Records that are not yet in the next layer are kept, up to twice that
   * number.
   */
  async function trim({ stream, keep, most }: Layer, through: number): Promise<void> {
    const head = await store().head(stream)
    const until = new Date(kernel.clock.now() - keep)
    const old = (await read(stream, { until, reverse: true, limit: 1 }))[0]?.seq ?? 0
    const seq = Math.max(Math.min(Math.max(head - most, old), through), head - 2 * most)
    if (seq > 0) await trimStream(kernel, stream, seq)
  }

  return {
    /** Appends a record of this process to the finest layer. */
    async append(record: { id: string; ts: number }, rows: Rows): Promise<void> {
      const [{ stream, most }] = LAYERS
      const { head } = await kernel.emit(stream, [draft(record, rows)])
      // Usually `rollUp` trims. Processes that run for less than a minute never call it.
      if (head > 2 * most && head % 100 === 0) await trimStream(kernel, stream, head - 2 * most)
    },
    /** Returns whether a record is stored. Used if its append may have failed. */
    async isStored({ id, ts }: { id: string; ts: number }): Promise<boolean> {
      const { found } = await since(LAYERS[0].stream, ts - SKEW)
      return found.some((event) => dataOf(event)?.id === id)
    },
    /** Copies the new records of a layer, up to the last complete bucket of the next layer. */
    async rollUp(index: 0 | 1): Promise<void> {
      const [from, to] = [LAYERS[index], LAYERS[index + 1]!]
      const until = Math.floor((kernel.clock.now() - from.step) / to.step) * to.step + from.step
      for (let more = true; more;) {
        const head = await store().head(to.stream)
        const newest = head === 0 ? undefined : dataOf((await read(to.stream, { after: head - 1, limit: 1 }))[0])
        const page = await read(from.stream, { after: newest?.through ?? 0, limit: PAGE })
        const fresh = page.filter(({ ts }) => ts < until)
        const through = fresh.at(-1)?.seq
        if (through === undefined) return
        const drafts = [...inBuckets(fresh, to.step)].map(([ts, rows]) => draft({ ts, through }, rows))
        const { ok } = await kernel.emit(to.stream, drafts, { expectedSeq: head })
        // Another process was faster and also trims.
        if (!ok) return
        await trim(from, through)
        more = fresh.length === PAGE
      }
      if (index === 1) await trim(LAYERS[2], Infinity)
    },
    /**
     * Returns the records of a layer since a moment, and the records of finer layers that are not yet in it. Reads the coarse layers first,
     * because records that are copied in the meantime are still in the finer layer.
     */
    async read(index: number, moment: number): Promise<BucketRecord[]> {
      const { found, newest } = await since(LAYERS[index]!.stream, moment)
      let through = newest?.through ?? 0
      for (const { stream } of LAYERS.slice(0, index).toReversed()) {
        // Begins with the last copied record, which contains the `seq` up to which it reaches.
        const events = await readAll(stream, Math.max(0, through - 1))
        const copied = through
        found.push(...events.filter(({ seq }) => seq > copied))
        through = (dataOf(events.at(-1)) ?? (await newestOf(stream)))?.through ?? 0
      }
      return found.map((event) => dataOf(event)!)
    },
  }
}

function inBuckets(events: readonly StoredEvent[], step: number): Map<number, Rows> {
  const buckets = new Map<number, Rows>()
  for (const event of events) {
    const { ts, rows } = dataOf(event)!
    const start = Math.floor(ts / step) * step
    const bucket = buckets.get(start) ?? new Rows()
    buckets.set(start, bucket)
    for (const row of rows) bucket.add(row)
  }
  return buckets
}

function dataOf(event: StoredEvent | undefined): BucketRecord | undefined {
  return event?.data as BucketRecord | undefined
}
