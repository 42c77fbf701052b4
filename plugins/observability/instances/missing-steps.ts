import { QueueError, type Kernel } from '../../../kernel/index.ts'
import { findMissingSteps, type MissingStep } from '../lib/missing-steps.ts'

/**
 * Finds steps that open runs need and that have no worker in this process, for example after a deploy removed them.
 * Each step of a flow is reported once. Only the newest runs are checked, because older ones have most likely been
 * reported.
 */
export function createMissingSteps(kernel: Kernel) {
  const reported = new Set<string>()

  /** @returns the steps, or `undefined` if the kernel closes in the meantime */
  return async function checkFlows(
    flows: readonly string[],
    isClosed: () => boolean,
  ): Promise<MissingStep[] | undefined> {
    const missing: MissingStep[] = []
    for (const name of flows) {
      if (isClosed()) return undefined
      const found = await findMissingSteps(kernel, name, isClosed)
      for (const one of found) report(one)
      missing.push(...found)
    }
    return missing
  }

  function report({ flow, step, runs }: MissingStep): void {
    if (reported.has(`${flow} ${step}`)) return
    reported.add(`${flow} ${step}`)
    const ids = runs.slice(0, 3).join(', ') + (runs.length > 3 ? ', …' : '')
    const hint = 'Restore the worker, or cancel the runs.'
    const message = `Open runs of flow "${flow}" need step "${step}", but this process has no worker for it: ${ids}. ${hint}`
    const error = new QueueError('FLOW_STEP_MISSING', message, { details: { flow, step, runs } })
    kernel.reporter.warn(`[FLOW_STEP_MISSING] ${message}`, error)
  }
}
