import type { JobState, Kernel } from '../../kernel/index.ts'

/** Counts of at least this many jobs are cached. Smaller counts are cheap and are always read again. */
const LARGE = 20_000
/** The age at which a count is refreshed in the background: in milliseconds, and as a multiple of the time that the count took. */
const REFRESH_AGE = 2_000
const SHARE = 10
/** The maximum age of a count, in milliseconds. */
const OLDEST = 60_000
/** The maximum number of cached counts per kernel. */
const MAX_CACHED = 200

interface Kept {
  value: Counted
  at: number
  took: number
  counting: boolean
}
type Counted = { counts: Record<JobState, number> }

const kept = new WeakMap<Kernel, Map<string, Kept>>()

/**
 * Returns a count of jobs. A count of many jobs is cached, because a store needs up to a second for it and a dashboard asks every few
 * seconds. The request receives the last count and starts a refresh in the background. Refreshes take at most a tenth of the time.
 *
 * @param key what is counted
 */
export async function largeCount<T extends Counted>(kernel: Kernel, key: string, count: () => Promise<T>): Promise<T> {
  const entries = kept.get(kernel) ?? new Map<string, Kept>()
  kept.set(kernel, entries)
  const { clock } = kernel

  async function make(): Promise<T> {
    const began = clock.now()
    const value = await count()
    const now = clock.now()
    entries.delete(key)
    const total = Object.values(value.counts).reduce((sum, one) => sum + one, 0)
    if (total < LARGE) return value
    entries.set(key, { value, at: now, took: now - began, counting: false })
    if (entries.size > MAX_CACHED) entries.delete(entries.keys().next().value!)
    return value
  }

  const entry = entries.get(key)
  const age = entry ? clock.now() - entry.at : 0
  if (!entry || age > OLDEST) return make()
  if (!entry.counting && age > Math.max(REFRESH_AGE, SHARE * entry.took)) {
    entry.counting = true
    // If a refresh fails, the next request counts again and reports the failure.
    make().catch(() => void entries.delete(key))
  }
  return entry.value as T
}
