import { fitText, type EnqueuedJob, type Kernel } from '../../../kernel/index.ts'
import type { Fork } from './copy.ts'

/** The worker that carries runs on, whoever asked for it. */
export const CARRY = '_flow/carry'

/** Milliseconds in which whoever ends a run or a job is done with what follows from that. */
const AFTERWARDS = 2000

/** Data of a carry job. */
export interface Carry {
  runId: string
  /** The copy to be completed before. */
  fork?: Fork
  /** Keys of the ends of jobs of the run that have left other runs behind, instead of the run itself. */
  left?: readonly string[]
}

/** Does what follows from an end once more, in case this process dies in the middle of it. */
export function carryAfterwards(kernel: Kernel, id: string, carry: Carry): Promise<EnqueuedJob> {
  return kernel.enqueue(CARRY, carry, { id: fitText(id), delay: AFTERWARDS })
}
