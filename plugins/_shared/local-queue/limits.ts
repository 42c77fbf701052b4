import type { Clock, Limits } from '../../../kernel/index.ts'
import { Bucket } from './bucket.ts'

/** How many buckets there may be before the first look for idle ones. */
const FIRST_SWEEP = 1000

interface Key {
  /** Holders of a place, and when each place lapses. */
  places: Map<string, number>
  /** Holders in line, first come first served. */
  line: Set<string>
  max: number
}

/** What has changed about a key: who holds a place and until when, who waits in line, who has left. */
export type LimitChange = { key: string; max: number; holder: string } & (
  | { until: number }
  | { waits: true }
  | { left: true }
)

export interface LocalLimits {
  limits: Limits
  /** Changes that make up what is known about all keys; rates are not among them. */
  snapshot(): Iterable<LimitChange>
  restore(change: LimitChange): void
}

/**
 * Counters of one process. Places that nobody gives back lapse; reservations nobody claims are
 * forgotten. What a durable adapter notes lets the next process go on with the same lines.
 */
export function createLocalLimits(
  kernel: { clock: Clock },
  note: (change: LimitChange) => void = () => {},
): LocalLimits {
  const keys = new Map<string, Key>()
  const buckets = new Map<string, Bucket>()
  let sweepAt = FIRST_SWEEP

  function dropLapsed({ places }: Key, now: number): void {
    for (const [holder, until] of places) if (until <= now) places.delete(holder)
  }

  /** Looks through all buckets when they have doubled, so that keys seen once do not stay for ever. */
  function dropIdle(now: number): void {
    if (buckets.size < sweepAt) return
    for (const [name, bucket] of buckets) if (bucket.isIdle(now)) buckets.delete(name)
    sweepAt = Math.max(FIRST_SWEEP, 2 * buckets.size)
  }

  function keyOf(name: string, max: number): Key {
    const key: Key = keys.get(name) ?? { places: new Map(), line: new Set(), max }
    keys.set(name, key)
    key.max = max
    return key
  }

  const limits: Limits = {
    acquire(name, max, ttl, holder) {
      const now = kernel.clock.now()
      const key = keyOf(name, max)
      dropLapsed(key, now)
      const free = key.places.has(holder) || key.places.size < max
      if (!free) {
        if (!key.line.has(holder)) note({ key: name, max, holder, waits: true })
        key.line.add(holder)
        return false
      }
      key.line.delete(holder)
      key.places.set(holder, now + ttl)
      note({ key: name, max, holder, until: now + ttl })
      return true
    },
    release(name, holder) {
      const key = keys.get(name)
      if (!key) return []
      const now = kernel.clock.now()
      const lapses = key.places.get(holder)
      key.places.delete(holder)
      key.line.delete(holder)
      note({ key: name, max: key.max, holder, left: true })
      dropLapsed(key, now)
      const woken: string[] = []
      for (const next of key.line) {
        if (key.places.size >= key.max) break
        key.line.delete(next)
        const until = Math.max(lapses ?? 0, now + 1000)
        key.places.set(next, until)
        note({ key: name, max: key.max, holder: next, until })
        woken.push(next)
      }
      if (key.places.size === 0 && key.line.size === 0) keys.delete(name)
      return woken
    },
    take(name, rate, holder) {
      const now = kernel.clock.now()
      let bucket = buckets.get(name)
      if (!bucket) {
        dropIdle(now)
        buckets.set(name, (bucket = new Bucket()))
      }
      return bucket.take(rate, now, holder)
    },
  }

  return {
    limits,
    *snapshot() {
      for (const [key, { max, places, line }] of keys) {
        for (const [holder, until] of places) yield { key, max, holder, until }
        for (const holder of line) yield { key, max, holder, waits: true }
      }
    },
    restore(change) {
      const { places, line } = keyOf(change.key, change.max)
      places.delete(change.holder)
      line.delete(change.holder)
      if ('until' in change) places.set(change.holder, change.until)
      else if ('waits' in change) line.add(change.holder)
      if (places.size === 0 && line.size === 0) keys.delete(change.key)
    },
  }
}
