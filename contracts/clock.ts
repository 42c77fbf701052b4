/** The clock of the whole system. The test kit replaces it with a virtual clock. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Calls back once after `ms` milliseconds, without an upper limit. Returns a function that cancels it. */
  setTimeout(callback: () => void, ms: number): () => void
}
