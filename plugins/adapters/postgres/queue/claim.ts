/** A job that this process holds. */
export interface Claim {
  readonly uuid: string
  readonly at: string
  /** What pg-boss counts its claims with. */
  readonly count: number
  /** When it was claimed, or its lease last renewed, by `performance.now()`. */
  since: number
  /** It is somebody else's now. */
  lose(): void
}
