import type { Kernel } from '../../../kernel/index.ts'
import { createProjection } from '../../lib/projection.ts'
import { foldMemos, type Memos } from '../lib/step-record.ts'

/** Caches the recorded sub-steps of the open jobs of each run, so that a replay reads the log only once. */
export function createMemos(kernel: Kernel) {
  const projection = createProjection<Map<string, Memos>>(() => kernel.port('events'), {
    reducer: 'step@2',
    initial: () => new Map<string, Memos>(),
    apply: foldMemos,
  })
  return async (runId: string, jobId: string): Promise<Memos> =>
    new Map((await projection.current(runId)).state.get(jobId))
}
export type MemosOf = ReturnType<typeof createMemos>
