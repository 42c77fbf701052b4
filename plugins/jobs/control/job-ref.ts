/** A job as `enqueue` answered it, or its address. */
export interface JobRef {
  queue: string
  id: string
}
