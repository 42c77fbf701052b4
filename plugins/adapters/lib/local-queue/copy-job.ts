import type { JobDraft } from '../../../../kernel/index.ts'
import { checkDraft } from '../check-draft.ts'
import { cloneValue, copyValue } from '../../../lib/value.ts'
import { createEntry, type Entry } from './waiting.ts'

/**
 * A record of a job that shares nothing with what the caller has.
 *
 * @throws QueueError `OPTION_INVALID`, `VALUE_UNSUPPORTED`, `PAYLOAD_TOO_LARGE`
 */
export function copyJob(draft: JobDraft, payloadLimit: number): Entry {
  checkDraft(draft)
  const data = copyValue(draft.data, payloadLimit, `data of job "${draft.name}"`)
  flatten(draft.id)
  return createEntry({
    id: draft.id,
    queue: draft.queue,
    name: draft.name,
    data,
    runId: draft.runId,
    // Frozen ones are the defaults of a worker, which all its jobs may share.
    options: Object.isFrozen(draft.options) ? draft.options : cloneValue(draft.options),
    priority: draft.priority,
    createdAt: draft.createdAt,
    runAt: draft.runAt,
    flow: draft.flow,
    state: 'waiting',
    attemptsMade: 0,
    claims: 0,
    crashes: 0,
    round: 0,
    startedAt: undefined,
    finishedAt: undefined,
    progress: undefined,
    result: undefined,
    error: undefined,
  })
}

/**
 * Ids are put together from parts, and V8 keeps the parts (480 bytes for a UUID, 56 once flat) until
 * somebody looks at a character.
 */
export function flatten(id: string): void {
  void id.charCodeAt(0)
}
