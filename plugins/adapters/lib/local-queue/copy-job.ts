import type { JobDraft } from '../../../../kernel/index.ts'
import { checkDraft } from '../check-draft.ts'
import { cloneValue, copyValue } from '../../../lib/value.ts'
import { createEntry, type JobEntry } from './entry.ts'

/**
 * Creates the record of a job. The record shares no object with the caller's draft.
 *
 * @throws QueueError `OPTION_INVALID`, `VALUE_UNSUPPORTED`, `PAYLOAD_TOO_LARGE`
 */
export function copyJob(draft: JobDraft, payloadLimit: number): JobEntry {
  checkDraft(draft)
  const data = copyValue(draft.data, payloadLimit, `data of job "${draft.name}"`)
  flatten(draft.id)
  return createEntry({
    id: draft.id,
    queue: draft.queue,
    name: draft.name,
    data,
    runId: draft.runId,
    // Frozen options are the defaults of a worker. All its jobs share them.
    options: Object.isFrozen(draft.options) ? draft.options : cloneValue(draft.options),
    priority: draft.priority,
    createdAt: draft.createdAt,
    runAt: draft.runAt,
    flow: draft.flow,
    tags: draft.tags && (Object.isFrozen(draft.tags) ? draft.tags : [...draft.tags]),
    headers: draft.headers && Object.freeze({ ...draft.headers }),
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
 * Makes V8 store an id as one flat string. A concatenated string keeps its parts in memory until one of its characters
 * is read: 480 bytes for a UUID, 56 bytes once it is flat.
 */
export function flatten(id: string): void {
  void id.charCodeAt(0)
}
