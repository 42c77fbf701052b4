/** A job that this process has claimed. */
export interface Claim {
  /** The id of the job in pg-boss. */
  readonly uuid: string
  /** The `ctid` of its row after the claim. */
  readonly ctid: string
  /** The `retry_count` of pg-boss, which identifies the claim. */
  readonly count: number
  /** When the job was claimed or its lease was last renewed, by `performance.now()`. */
  since: number
  /** Call this when another worker has claimed the job. */
  lose(): void
}
