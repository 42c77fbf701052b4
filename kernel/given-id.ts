import type { JobDraft } from '../contracts/index.ts'

/**
 * Whether a caller chose the id of a job. Such a job may be enqueued again and must count once. For a job with a generated id, the run has
 * the same id. A step of a flow is recorded in its run.
 */
export function hasGivenId({ id, runId, flow }: Pick<JobDraft, 'id' | 'runId' | 'flow'>): boolean {
  return id !== runId && (flow === undefined || flow.named === true)
}
