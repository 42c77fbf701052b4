/** Identifies an append in Redis until the next call of its pipeline. */
export interface AppendReceipt {
  /** The key that stores the number and the result of the last call of the pipeline. */
  readonly callKey: string
  readonly call: number
  /** The position of the append in the result of the call: 1, 2, 3, … */
  readonly position: number
}
