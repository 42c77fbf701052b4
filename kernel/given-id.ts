import type { JobDraft } from '../contracts/index.ts'

/**
 * Whether the id of a job comes from a caller, so that enqueueing it again may happen and has to count once. A job whose
 * id was made for it has its own id as its run, and a step of a flow is on record in its run.
 */
export function hasGivenId({ id, runId, flow }: Pick<JobDraft, 'id' | 'runId' | 'flow'>): boolean {
  return id !== runId && (flow === undefined || flow.named === true)
}
