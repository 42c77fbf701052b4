import type { EmitPayload } from '../contracts/index.ts'
import { checkComposed, checkTags, checkText, invalid } from './bounds.ts'

/**
 * Checks events before they reach a store, whether they come from a handler, an application or a hook.
 *
 * @throws QueueError `OPTION_INVALID`
 */
export function checkAppend({ stream, events, options }: EmitPayload): void {
  checkComposed('The stream of an event', stream)
  if (!Array.isArray(events)) throw invalid('What to append', 'an array of events', events)
  for (const { type, key, flow, step, stepId, attempt } of events) {
    checkText('The type of an event', type)
    if (key !== undefined) checkComposed('The key of an event', key)
    if (flow !== undefined) checkText('The flow of an event', flow)
    // A job from another producer may have no name, and the step of an event is the name of its job.
    if (step !== undefined && step !== '') checkComposed('The step of an event', step)
    if (stepId !== undefined && stepId !== stream) checkComposed('The step id of an event', stepId)
    if (attempt !== undefined && !Number.isSafeInteger(attempt)) {
      throw invalid('The attempt of an event', 'a whole number', attempt)
    }
  }
  if (options.run?.tags) checkTags('The tags of a run', options.run.tags)
}
