import type { Ending } from './events.ts'
import type { MaybePromise } from './promise.ts'

/** A claim of a job. The runner receives it together with the job. */
export interface Lease {
  /** Registers a callback for when the lease is lost. */
  onLost?(tell: () => void): void
  /** Called when the handler has succeeded and only the end of the job has to be stored. The slot is then free. */
  handled?(): void
  /** Called when the job waits in this process because its worker has reached its concurrency. The slot is then free. */
  parked?(): void
  /**
   * Called before the completion of a plain job is appended, with the key of its terminal event. The result is passed to the event
   * store as the option `ending` of the append. Without it, the job is settled after the append.
   */
  ending?(key: string): Ending | undefined
  /** Stores progress between 0 and 1. */
  progress(value: number): MaybePromise<void>
}
