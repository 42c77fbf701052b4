/*
 * Histograms of durations with fixed buckets, so that histograms of several processes and periods can be added up. Bucket 0 holds durations
 * below one millisecond. Bucket `n` holds durations from `2 ** ((n - 1) / 4)` up to `2 ** (n / 4)` milliseconds, so a quantile is at most 9
 * % off. The last bucket begins at about 12 days, and holds all longer durations.
 */

const PER_DOUBLING = 4
const BUCKETS = 122
/** The buckets of short durations, because most durations are short and a logarithm is slow. */
const SHORT = Uint8Array.from({ length: 1024 }, (_, ms) => bucketOfAny(ms))

/** The number of durations in each bucket. */
export type BucketCounts = Uint32Array

/** A histogram in its stored form: the index of each bucket that is not empty, followed by its count. */
export type SparseHistogram = readonly number[]

export interface Quantiles {
  /** The number of durations. If it is 0, the quantiles are null. */
  count: number
  /** The median, in milliseconds. */
  p50: number | null
  p95: number | null
  p99: number | null
}

export function createHistogram(): BucketCounts {
  return new Uint32Array(BUCKETS)
}

/** Counts a duration in milliseconds. A negative duration, which different clocks of two machines can produce, counts as 0. */
export function addDuration(histogram: BucketCounts, ms: number): void {
  histogram[ms < 1024 ? SHORT[ms > 0 ? ms | 0 : 0]! : bucketOfAny(ms)]!++
}

export function toSparse(histogram: BucketCounts): SparseHistogram {
  const pairs: number[] = []
  for (const [bucket, count] of histogram.entries()) if (count > 0) pairs.push(bucket, count)
  return pairs
}

/** Adds a stored histogram. Ignores buckets that this version does not have. */
export function addSparse(histogram: BucketCounts, pairs: SparseHistogram): void {
  for (let index = 0; index + 1 < pairs.length; index += 2) {
    const bucket = pairs[index]!
    if (bucket >= 0 && bucket < BUCKETS) histogram[bucket]! += pairs[index + 1]!
  }
}

export function quantilesOf(histogram: BucketCounts): Quantiles {
  const count = histogram.reduce((sum, one) => sum + one, 0)
  const at = (share: number): number | null => {
    if (count === 0) return null
    let left = Math.ceil(count * share)
    return middleOf(histogram.findIndex((one) => (left -= one) <= 0))
  }
  return { count, p50: at(0.5), p95: at(0.95), p99: at(0.99) }
}

function bucketOfAny(ms: number): number {
  return ms < 1 ? 0 : Math.min(BUCKETS - 1, 1 + Math.floor(Math.log2(ms) * PER_DOUBLING))
}

/** Returns the duration that represents a bucket, with three digits. */
function middleOf(bucket: number): number {
  return bucket === 0 ? 0 : Number((2 ** ((bucket - 0.5) / PER_DOUBLING)).toPrecision(3))
}
