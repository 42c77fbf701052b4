import type { Kernel } from '../../../kernel/index.ts'

/** How many open runs of each flow are checked. */
const MAX_RUNS = 20

/** A step that open runs need and that has no worker in this process. */
export interface MissingStep {
  flow: string
  step: string
  /** The ids of the runs. */
  runs: string[]
}

/**
 * Finds the steps of a flow that its newest open runs need and that have no worker in this process.
 *
 * @param isClosed ends the search early
 */
export async function findMissingSteps(
  kernel: Pick<Kernel, 'flow'>,
  name: string,
  isClosed = () => false,
): Promise<MissingStep[]> {
  const flow = kernel.flow(name)
  const needed = new Map<string, string[]>()
  for (const { runId } of await flow.runs({ status: 'running', limit: MAX_RUNS })) {
    if (isClosed()) return []
    const { jobs } = await flow.explain(runId)
    for (const { step, queue } of jobs) {
      if (queue === undefined) needed.set(step, [...(needed.get(step) ?? []), runId])
    }
  }
  return [...needed].map(([step, runs]) => ({ flow: name, step, runs }))
}
