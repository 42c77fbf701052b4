/**
 * The boundaries that the conventions for messaging recommend, in seconds, and longer ones, because jobs can wait and run for a long time.
 */
const BOUNDARIES = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60, 300, 900, 3600]
const IN_MS = BOUNDARIES.map((seconds) => seconds * 1000)

/** Counts durations by size. */
export class Histogram {
  readonly #counts = new Float64Array(BOUNDARIES.length + 1)
  #sum = 0

  /** Counts a duration in milliseconds. A negative duration, which different clocks of two machines can produce, counts as 0. */
  observe(ms: number): void {
    const duration = ms > 0 ? ms : 0
    let bucket = 0
    while (bucket < IN_MS.length && duration > IN_MS[bucket]!) bucket++
    this.#counts[bucket]!++
    this.#sum += duration
  }

  /** Returns the number of durations up to each boundary, the sum in seconds, and the total number. */
  read(): { buckets: [boundary: number, count: number][]; sum: number; count: number } {
    let count = 0
    const buckets = [...BOUNDARIES, Infinity].map((boundary, index): [number, number] => [
      boundary,
      (count += this.#counts[index]!),
    ])
    return { buckets, sum: this.#sum / 1000, count }
  }
}
