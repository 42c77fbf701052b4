import type { Kernel } from '../../../kernel/index.ts'
import type { FlowAccess } from '../lib/flow-access.ts'
import { parse } from '../../lib/parse.ts'
import { copyValue } from '../../lib/value.ts'
import { callWithin } from './call.ts'
import { findMessage } from './declared.ts'
import type { RunStates } from './run-state.ts'

/** Computes queries in this process, from the stored state of a run. No worker has to run. */
export function createQueries(
  kernel: Kernel,
  flows: FlowAccess,
  { states, timeout }: { states: RunStates; timeout: number },
) {
  return async (flow: string, runId: string, name: string, input?: unknown): Promise<unknown> => {
    const { worker, definition } = findMessage(flows, 'queries', flow, name)
    const what = `Query "${name}" of flow "${flow}"`
    const status = await flows.statusOf(flow, runId)
    const given = copyValue(input, kernel.config.payloadLimit, `input of query "${name}"`)
    const parsed = definition.input ? await parse(definition.input, given, `input of query "${name}"`) : given
    const state = await states.read(worker, runId)
    return callWithin(kernel, { what, timeout, code: 'QUERY_FAILED' }, async () => {
      const value = await definition.run({ flow, runId, status, state, input: parsed })
      return copyValue(value, kernel.config.payloadLimit, `response of query "${name}"`)
    })
  }
}
