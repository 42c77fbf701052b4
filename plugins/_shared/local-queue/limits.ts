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

/** Counters of one process. Places that nobody gives back lapse; reservations nobody claims are forgotten. */
export function createLocalLimits(kernel: { clock: Clock }): Limits {
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

  return {
    acquire(name, max, ttl, holder) {
      const now = kernel.clock.now()
      const key: Key = keys.get(name) ?? { places: new Map(), line: new Set(), max }
      keys.set(name, key)
      key.max = max
      dropLapsed(key, now)
      const free = key.places.has(holder) || key.places.size < max
      if (!free) {
        key.line.add(holder)
        return false
      }
      key.line.delete(holder)
      key.places.set(holder, now + ttl)
      return true
    },
    release(name, holder) {
      const key = keys.get(name)
      if (!key) return []
      const now = kernel.clock.now()
      const lapses = key.places.get(holder)
      key.places.delete(holder)
      key.line.delete(holder)
      dropLapsed(key, now)
      const woken: string[] = []
      for (const next of key.line) {
        if (key.places.size >= key.max) break
        key.line.delete(next)
        key.places.set(next, Math.max(lapses ?? 0, now + 1000))
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
}
