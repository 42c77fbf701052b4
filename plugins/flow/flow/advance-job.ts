import { fitText, type EnqueuedJob, type Kernel } from '../../../kernel/index.ts'
import type { Fork } from './copy.ts'

/** The id of the worker that advances runs. */
export const ADVANCE = '_flow/carry'

/** Milliseconds after which the job that repeats the follow-up of an end runs. By then the first attempt is usually done. */
export const REPEAT_AFTER = 2000

/** Data of a job of this worker. */
export interface AdvanceData {
  runId: string
  /** The copy to complete first. */
  fork?: Fork
  /** Event keys of ended jobs whose child runs are to be cancelled. If set, the run itself is not advanced. */
  left?: readonly string[]
  /** The key of an event whose write another plugin has announced. Its follow-up runs before the run is advanced. */
  after?: string
}

/** Milliseconds for which the follow-up of a write waits for the event. A slow store may take that long. */
export const MAX_WRITE = 60_000
/** Milliseconds between two looks for the event. */
export const LOOK_AGAIN = 10_000

/** Enqueues a job that repeats the follow-up of an end, in case this process dies before it is done. */
export function repeatLater(kernel: Kernel, id: string, data: AdvanceData): Promise<EnqueuedJob> {
  return kernel.enqueue(ADVANCE, data, { id: fitText(id), delay: REPEAT_AFTER })
}
