import { randomBytes } from 'node:crypto'
import type { PluginKernel } from '../../../kernel/index.ts'
import { watchOutage } from '../../lib/outage.ts'
import { LAYERS, type BucketRecord, type Layers } from './layers.ts'
import { Rows, type Row } from './rows.ts'

const [{ step: STEP }, { step: MINUTE }] = LAYERS
/** The maximum number of buckets that wait for an unavailable store: ten minutes. After that, the oldest bucket is lost. */
const MAX_PENDING = 60
/** Processes roll up at different times within this period after a bucket, in milliseconds, so usually only one of them does the work. */
const SPREAD = 5000

interface Bucket {
  id: string
  ts: number
  rows: Rows
  /** Whether an append of the bucket has failed. The bucket may be stored nevertheless. */
  doubtful: boolean
}

/** Collects the counts of this process in the current bucket, and appends each bucket once after it has ended. */
export function createRecorder(kernel: PluginKernel, layers: Layers) {
  const instance = randomBytes(9).toString('base64url')
  const outage = watchOutage({
    away: (error) =>
      kernel.reporter.warn('The statistics cannot be stored. This process keeps the last ten minutes.', error),
    back: () => kernel.reporter.warn('The statistics can be stored again.'),
  })
  /** The buckets that are not stored yet, oldest first. The last one is the current one. */
  const buckets: Bucket[] = []
  let current = new Rows()
  let end = 0
  let count = 0
  let rolledUp = -1
  let flushing: Promise<void> = Promise.resolve()
  let cancelFlush: (() => void) | undefined
  let cancelRollUp: (() => void) | undefined
  let closed = false

  function begin(now: number): void {
    const ts = Math.floor(now / STEP) * STEP
    end = ts + STEP
    current = new Rows()
    buckets.push({ id: `${instance}.${++count}`, ts, rows: current, doubtful: false })
    if (buckets.length > MAX_PENDING) buckets.shift()
    arm()
  }

  function arm(): void {
    if (closed || cancelFlush) return
    const now = kernel.clock.now()
    cancelFlush = kernel.clock.setTimeout(onEnd, Math.floor(now / STEP) * STEP + STEP - now)
  }

  function onEnd(): void {
    cancelFlush = undefined
    void flush(false)
    const minute = Math.floor(kernel.clock.now() / MINUTE)
    if (minute === rolledUp) return
    rolledUp = minute
    cancelRollUp?.()
    cancelRollUp = kernel.clock.setTimeout(() => void rollUp(), Math.random() * SPREAD)
  }

  async function rollUp(): Promise<void> {
    try {
      await flushing
      await layers.rollUp(0)
      await layers.rollUp(1)
    } catch (error) {
      if (!closed) outage.failed(error)
    }
  }

  /** Appends the buckets that have ended, one after another. */
  function flush(all: boolean): Promise<void> {
    return (flushing = flushing.then(async () => {
      for (let [bucket] = buckets; bucket; [bucket] = buckets) {
        if (!all && bucket.ts + STEP > kernel.clock.now()) break
        if (bucket.rows === current) end = 0
        try {
          if (!bucket.doubtful || !(await layers.isStored(bucket))) await layers.append(bucket, bucket.rows)
          if (buckets[0] === bucket) buckets.shift()
          outage.worked()
        } catch (error) {
          bucket.doubtful = true
          if (!closed) outage.failed(error)
          break
        }
      }
      if (buckets.length > 0) arm()
    }))
  }

  return {
    /** Returns the row in which to count a current event. */
    row(queue: string, worker: string, now: number): Row {
      if (now >= end) begin(now)
      return current.row(queue, worker)
    },
    /** Returns the buckets of this process that may not be stored yet. */
    pending: (): BucketRecord[] => buckets.map(({ id, ts, rows }) => ({ id, ts, rows: rows.toStored(Infinity) })),
    async close(): Promise<void> {
      closed = true
      cancelFlush?.()
      cancelRollUp?.()
      await flush(true)
    },
  }
}
