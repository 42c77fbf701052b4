import type { JobState, Kernel } from '../../kernel/index.ts'

/** From how many jobs on a count is kept. Counts of fewer jobs are cheap, and always new. */
const LARGE = 20_000
/** How old a count may be before it is made again in the background, in milliseconds, and how many times as long as it took. */
const FRESH = 2_000
const SHARE = 10
/** How old a count may be at most, in milliseconds. */
const OLDEST = 60_000
/** How many counts are kept for each kernel. */
const MOST = 200

interface Kept {
  value: Counted
  at: number
  took: number
  counting: boolean
}
type Counted = { counts: Record<JobState, number> }

const kept = new WeakMap<Kernel, Map<string, Kept>>()

/**
 * Returns a count of jobs. A count of many jobs is kept, because a store needs up to a second for it and a dashboard asks every few
 * seconds: the request receives the last count and has a new one made in the background, which takes at most a tenth of the time.
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
    if (entries.size > MOST) entries.delete(entries.keys().next().value!)
    return value
  }

  const entry = entries.get(key)
  const age = entry ? clock.now() - entry.at : 0
  if (!entry || age > OLDEST) return make()
  if (!entry.counting && age > Math.max(FRESH, SHARE * entry.took)) {
    entry.counting = true
    // A count that fails is made by the next request, which then reports the failure.
    make().catch(() => void entries.delete(key))
  }
  return entry.value as T
}
