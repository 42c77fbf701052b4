import { QueueError, type Kernel, type RunInfo } from '../../../kernel/index.ts'

/**
 * Finds a run by its id.
 *
 * @param hint what the caller can do if there is none, as a sentence
 * @throws QueueError `RUN_NOT_FOUND`
 */
export async function findRun(kernel: Kernel, runId: string, hint?: string): Promise<RunInfo> {
  const run = await kernel.port('events').runs.get(runId)
  if (run) return run
  const message = `There is no run "${runId}". It may not have begun, or it may have expired.`
  throw new QueueError('RUN_NOT_FOUND', hint === undefined ? message : `${message} ${hint}`)
}

/** Returns the name of the flow of a run. @throws QueueError `RUN_NOT_FOUND`, `FLOW_UNKNOWN` */
export async function flowOfRun(kernel: Kernel, runId: string, hint?: string): Promise<string> {
  const { flow } = await findRun(kernel, runId, hint)
  if (flow !== undefined) return flow
  const message = `Run "${runId}" belongs to a single job, not to a flow. Pass the id of a run of a flow.`
  throw new QueueError('FLOW_UNKNOWN', message)
}
