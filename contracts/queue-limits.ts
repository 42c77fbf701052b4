/** The limits of a queue, which count the jobs of all processes together. An absent member is no limit. */
export interface QueueLimits {
  /** How many jobs of the queue run at once. */
  concurrency?: number
  /**
   * How many jobs of the queue are claimed in a period of milliseconds. A period begins with the first claim after the previous one has
   * ended.
   */
  rate?: { limit: number; period: number }
}

/** A change of the limits of a queue. An absent member stays as it is, and `null` removes a limit. */
export type QueueLimitsChange = { [Limit in keyof QueueLimits]?: QueueLimits[Limit] | null }
