import { QueueError, type Kernel } from '../../../kernel/index.ts'

/** How many open runs of each flow are checked. */
const MAX_RUNS = 20

/**
 * Reports steps that open runs need and that have no worker in this process, for example after a deploy removed them.
 * Each step of a flow is reported once. Only the newest runs are checked, because older ones have most likely been
 * reported.
 */
export function createMissingSteps(kernel: Kernel) {
  const reported = new Set<string>()

  return async function reportMissingSteps(flows: readonly string[], isClosed: () => boolean): Promise<void> {
    for (const name of flows) {
      const flow = kernel.flow(name)
      const needed = new Map<string, string[]>()
      for (const { runId } of await flow.runs({ status: 'running', limit: MAX_RUNS })) {
        if (isClosed()) return
        const { jobs } = await flow.explain(runId)
        for (const { step, queue } of jobs) {
          if (queue === undefined) needed.set(step, [...(needed.get(step) ?? []), runId])
        }
      }
      for (const [step, runs] of needed) report(name, step, runs)
    }
  }

  function report(flow: string, step: string, runs: string[]): void {
    if (reported.has(`${flow} ${step}`)) return
    reported.add(`${flow} ${step}`)
    const ids = runs.slice(0, 3).join(', ') + (runs.length > 3 ? ', …' : '')
    const hint = 'Restore the worker, or cancel the runs.'
    const message = `Open runs of flow "${flow}" need step "${step}", but this process has no worker for it: ${ids}. ${hint}`
    const error = new QueueError('FLOW_STEP_MISSING', message, { details: { flow, step, runs } })
    kernel.reporter.warn(`[FLOW_STEP_MISSING] ${message}`, error)
  }
}
