import type { Clock, HandedPermit, Limits, Permit } from '../../../../kernel/index.ts'
import { Bucket } from './bucket.ts'

/** How many buckets there may be before the first look for idle ones. */
const FIRST_SWEEP = 1000
/** Milliseconds that a permit stays with whom it was handed to, unless a sweep finds it first. */
const HANDED_FOR = 60_000

interface Held {
  until: number
  /** The claim that has it; 0 when it was handed on and not taken up. */
  claim: number
  /** When it was handed on, or last looked at since. */
  handedAt: number
}

interface Key {
  name: string
  permits: Map<string, Held>
  /** First come first served. */
  waiters: Set<string>
  max: number
}

/** Who waits for a key and who has left its line. `until` is what journals of earlier releases say of a permit. */
export type LimitChange = { key: string; max: number; holder: string } & (
  | { waits: true }
  | { left: true }
  | { until: number }
)

export interface LocalLimits {
  limits: Limits
  /** Changes that make up all lines; permits end with their process, and rates are not kept. */
  snapshot(): Iterable<LimitChange>
  restore(change: LimitChange): void
}

/**
 * Counters of one process. Permits that nobody renews lapse; reservations nobody claims are forgotten.
 * What a durable adapter notes lets the next process go on with the same lines: whoever was handed a permit
 * and had not taken it up is still in line there.
 */
export function createLocalLimits(
  kernel: { clock: Clock },
  note: (change: LimitChange) => void = () => {},
): LocalLimits {
  const keys = new Map<string, Key>()
  const buckets = new Map<string, Bucket>()
  let sweepAt = FIRST_SWEEP

  /** Looks through all buckets when they have doubled, so that keys seen once do not stay for ever. */
  function dropIdle(now: number): void {
    if (buckets.size < sweepAt) return
    for (const [name, bucket] of buckets) if (bucket.isIdle(now)) buckets.delete(name)
    sweepAt = Math.max(FIRST_SWEEP, 2 * buckets.size)
  }

  function keyOf(name: string, max: number): Key {
    const key: Key = keys.get(name) ?? { name, permits: new Map(), waiters: new Set(), max }
    keys.set(name, key)
    key.max = max
    return key
  }

  function forgetEmpty({ name, permits, waiters }: Key): void {
    if (permits.size === 0 && waiters.size === 0) keys.delete(name)
  }

  function leave({ name, max }: Key, holder: string): void {
    note({ key: name, max, holder, left: true })
  }

  function dropLapsed(key: Key, now: number): void {
    for (const [holder, { until, claim }] of key.permits) {
      if (until > now) continue
      key.permits.delete(holder)
      if (claim === 0) leave(key, holder)
    }
  }

  /** Hands free permits to the first in line. */
  function handOn(key: Key, now: number): string[] {
    dropLapsed(key, now)
    const handed: string[] = []
    for (const holder of key.waiters) {
      if (key.permits.size >= key.max) break
      key.waiters.delete(holder)
      key.permits.set(holder, { until: now + HANDED_FOR, claim: 0, handedAt: now })
      handed.push(holder)
    }
    forgetEmpty(key)
    return handed
  }

  function renewOne({ key: name, max, holder, claim }: Permit, ttl: number, now: number): boolean {
    const key = keyOf(name, max)
    const held = key.permits.get(holder)
    if (held && held.claim > claim) return false
    dropLapsed(key, now)
    if (!key.permits.has(holder) && key.permits.size >= max) return false
    key.permits.set(holder, { until: now + ttl, claim, handedAt: 0 })
    return true
  }

  const limits: Limits = {
    acquire(name, max, ttl, holder, claim = 1) {
      const now = kernel.clock.now()
      const key = keyOf(name, max)
      dropLapsed(key, now)
      const held = key.permits.get(holder)
      if (held && held.claim > claim) return false
      if (!held && key.permits.size >= max) {
        if (!key.waiters.has(holder)) note({ key: name, max, holder, waits: true })
        key.waiters.add(holder)
        return false
      }
      if (key.waiters.delete(holder) || held?.claim === 0) leave(key, holder)
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
      if (waited || held?.claim === 0) leave(key, holder)
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
          Object.assign(held, { handedAt: now, until: now + HANDED_FOR })
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
      const key = keyOf(change.key, change.max)
      if ('left' in change) key.waiters.delete(change.holder)
      else key.waiters.add(change.holder)
      forgetEmpty(key)
    },
  }
}
