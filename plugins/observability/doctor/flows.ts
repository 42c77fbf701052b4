import type { Diagnosis, Kernel } from '../../../kernel/index.ts'
import { placesOf } from '../../flow/lib/flow-places.ts'
import { findMissingSteps } from '../lib/missing-steps.ts'

/** Finds steps that open runs need and that the project no longer has. */
export async function checkFlows(kernel: Kernel): Promise<Diagnosis[]> {
  const places = kernel.registry.workers.flatMap(placesOf)
  const flows = [...new Set(places.filter(({ role }) => role === 'entry').map(({ name }) => name))]
  const missing = await Promise.all(flows.map((flow) => findMissingSteps(kernel, flow)))
  const found = missing.flat().map(({ flow, step, runs }): Diagnosis => {
    const message = `Open runs of flow "${flow}" need step "${step}", which has no worker here: ${runs.slice(0, 3).join(', ')}.`
    return { check: 'flows.steps', level: 'problem', message, hint: 'Restore the worker, or cancel the runs.' }
  })
  if (found.length > 0) return found
  return [{ check: 'flows', level: 'ok', message: `All open runs have their steps. Flows: ${flows.length}.` }]
}
