import type { Kernel, StoredEvent } from '../../kernel/index.ts'
import { createProjection } from '../_shared/projection.ts'

/** What one job has recorded under a name. */
export type Memo = { kind: 'run'; result: unknown } | { kind: 'wait'; result: WaitMemo }

interface WaitMemo {
  name: string
  timedOut: boolean
  payload?: unknown
}

type Memos = Map<string, Map<string, Memo>>

/** What the jobs of a run that go on have recorded, kept folded: a replay reads the log once. */
export function createMemos(kernel: Kernel) {
  const projection = createProjection<Memos>(() => kernel.port('events'), {
    reducer: 'step@1',
    initial: () => new Map<string, Map<string, Memo>>(),
    apply: fold,
  })
  return async (runId: string, jobId: string): Promise<ReadonlyMap<string, Memo>> =>
    (await projection.current(runId)).state.get(jobId) ?? new Map<string, Memo>()
}
export type MemosOf = ReturnType<typeof createMemos>

function fold(memos: Memos, events: readonly StoredEvent[]): void {
  for (const { type, stepId, data } of events) {
    if (stepId === undefined) continue
    if (type === 'step.memo') {
      const { name, result } = data as { name: string; result: unknown }
      entry(memos, stepId).set(name, { kind: 'run', result })
    } else if (type === 'step.resumed') {
      const result = data as WaitMemo
      // Those around the handler are not its own.
      if (result.name.startsWith('(')) continue
      entry(memos, stepId).set(result.name, { kind: 'wait', result })
    } else if (type === 'step.completed' || type === 'step.cancelled') memos.delete(stepId)
  }
}

function entry(memos: Memos, jobId: string): Map<string, Memo> {
  const of = memos.get(jobId) ?? new Map<string, Memo>()
  memos.set(jobId, of)
  return of
}
