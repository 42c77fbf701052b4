import { QueueError, type Kernel, type RunInfo } from '../../../../kernel/index.ts'

/** @throws QueueError `RUN_NOT_FOUND` */
export async function findRun(kernel: Kernel, runId: string): Promise<RunInfo> {
  const run = await kernel.port('events').runs.get(runId)
  if (run) return run
  throw new QueueError('RUN_NOT_FOUND', `There is no run "${runId}". It may not have begun, or it may have expired.`)
}

/** Returns the name of the flow of a run. @throws QueueError `RUN_NOT_FOUND`, `FLOW_UNKNOWN` */
export async function flowOfRun(kernel: Kernel, runId: string): Promise<string> {
  const { flow } = await findRun(kernel, runId)
  if (flow !== undefined) return flow
  throw new QueueError('FLOW_UNKNOWN', `Run "${runId}" belongs to a single job, not to a flow.`)
}
