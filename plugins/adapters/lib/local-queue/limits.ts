import type { Clock, HandedPermit, Limits, Permit } from '../../../../kernel/index.ts'
import { Bucket } from './bucket.ts'

/** The number of buckets that triggers the first search for idle ones. */
const FIRST_SWEEP = 1000
/** How long a permit stays assigned to a waiter that does not take it, in milliseconds, unless a sweep renews it. */
const ASSIGNED_FOR = 60_000

/** A permit in use, or one that was assigned to a waiter that has not taken it yet. */
interface Held {
  until: number
  /** The number of the claim that uses the permit. 0 if it was assigned to a waiter that has not taken it yet. */
  claim: number
  /** The moment at which the permit was assigned, or at which a sweep last saw it. */
  handedAt: number
}

interface Key {
  name: string
  permits: Map<string, Held>
  /** Waiters in the order in which they get a permit: first come, first served. */
  waiters: Set<string>
  max: number
}

/** A holder starts to wait for a key, or stops waiting. Journals of earlier releases contain permits with `until`. */
export type LimitChange = { key: string; max: number; holder: string } & (
  | { waits: true }
  | { left: true }
  | { until: number }
)

export interface LocalLimits {
  limits: Limits
  /** Yields changes that rebuild all waiters. Permits end with their process, and rate limits are not stored. */
  snapshot(): Iterable<LimitChange>
  restore(change: LimitChange): void
}

/**
 * Creates the limits of one process. A permit expires unless it is renewed, and a reservation is dropped unless it is
 * used. A durable adapter records the changes, so that the next process continues with the same waiters. A waiter that
 * had not taken its permit yet waits again in the next process.
 *
 * @param record is called with each change of the waiters
 */
export function createLocalLimits(
  kernel: { clock: Clock },
  record: (change: LimitChange) => void = () => {},
): LocalLimits {
  const keys = new Map<string, Key>()
  const buckets = new Map<string, Bucket>()
  let sweepAt = FIRST_SWEEP

  /** Drops idle buckets each time the number of buckets has doubled, so that keys used once do not stay forever. */
  function dropIdle(now: number): void {
    if (buckets.size < sweepAt) return
    for (const [name, bucket] of buckets) if (bucket.isIdle(now)) buckets.delete(name)
    sweepAt = Math.max(FIRST_SWEEP, 2 * buckets.size)
  }

  function getOrCreateKey(name: string, max: number): Key {
    const key: Key = keys.get(name) ?? { name, permits: new Map(), waiters: new Set(), max }
    keys.set(name, key)
    key.max = max
    return key
  }

  function dropIfEmpty({ name, permits, waiters }: Key): void {
    if (permits.size === 0 && waiters.size === 0) keys.delete(name)
  }

  function stopWaiting({ name, max }: Key, holder: string): void {
    record({ key: name, max, holder, left: true })
  }

  function dropExpired(key: Key, now: number): void {
    for (const [holder, { until, claim }] of key.permits) {
      if (until > now) continue
      key.permits.delete(holder)
      if (claim === 0) stopWaiting(key, holder)
    }
  }

  /** Assigns free permits to the first waiters. Returns their holders. */
  function handOn(key: Key, now: number): string[] {
    dropExpired(key, now)
    const handed: string[] = []
    for (const holder of key.waiters) {
      if (key.permits.size >= key.max) break
      key.waiters.delete(holder)
      key.permits.set(holder, { until: now + ASSIGNED_FOR, claim: 0, handedAt: now })
      handed.push(holder)
    }
    dropIfEmpty(key)
    return handed
  }

  function renewOne({ key: name, max, holder, claim }: Permit, ttl: number, now: number): boolean {
    const key = getOrCreateKey(name, max)
    const held = key.permits.get(holder)
    if (held && held.claim > claim) return false
    dropExpired(key, now)
    if (!key.permits.has(holder) && key.permits.size >= max) return false
    key.permits.set(holder, { until: now + ttl, claim, handedAt: 0 })
    return true
  }

  const limits: Limits = {
    acquire(name, max, ttl, holder, claim = 1) {
      const now = kernel.clock.now()
      const key = getOrCreateKey(name, max)
      dropExpired(key, now)
      const held = key.permits.get(holder)
      if (held && held.claim > claim) return false
      if (!held && key.permits.size >= max) {
        if (!key.waiters.has(holder)) record({ key: name, max, holder, waits: true })
        key.waiters.add(holder)
        return false
      }
      if (key.waiters.delete(holder) || held?.claim === 0) stopWaiting(key, holder)
      key.permits.set(holder, { until: now + ttl, claim, handedAt: 0 })
      return true
    },
    release(name, holder, claim) {
      const key = keys.get(name)
      if (!key) return []
      const held = key.permits.get(holder)
      if (claim !== undefined && (held?.claim ?? 0) > claim) return []
      key.permits.delete(holder)
      const waited = claim === undefined && key.waiters.delete(holder)
      if (waited || held?.claim === 0) stopWaiting(key, holder)
      return handOn(key, kernel.clock.now())
    },
    renew(permits, ttl) {
      const now = kernel.clock.now()
      return permits.filter((permit) => !renewOne(permit, ttl, now))
    },
    sweep(age) {
      const now = kernel.clock.now()
      const found: HandedPermit[] = []
      for (const key of [...keys.values()]) {
        for (const [holder, held] of key.permits) {
          if (held.claim !== 0 || held.handedAt > now - age) continue
          Object.assign(held, { handedAt: now, until: now + ASSIGNED_FOR })
          found.push({ key: key.name, holder })
        }
        for (const holder of handOn(key, now)) found.push({ key: key.name, holder })
      }
      return found
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
    takeBack: (name) => buckets.get(name)?.takeBack(),
  }

  return {
    limits,
    *snapshot() {
      for (const { name: key, max, permits, waiters } of keys.values()) {
        for (const [holder, { claim }] of permits) if (claim === 0) yield { key, max, holder, waits: true }
        for (const holder of waiters) yield { key, max, holder, waits: true }
      }
    },
    restore(change) {
      const key = getOrCreateKey(change.key, change.max)
      if ('left' in change) key.waiters.delete(change.holder)
      else key.waiters.add(change.holder)
      dropIfEmpty(key)
    },
  }
}
