/** Time as the whole system sees it. The test kit replaces it with a virtual one. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Calls back once after `ms` milliseconds, however many, and answers what calls it off. */
  setTimeout(callback: () => void, ms: number): () => void
}
