import {
  assertFree,
  checkCount,
  checkText,
  invalid,
  MAX_COMPOSED_BYTES,
  isText,
  type JobFilter,
  type JobState,
} from '../../../kernel/index.ts'
import { checkOptions, type OptionChecks } from '../../lib/check-options.ts'
import { checkFilter } from '../lib/check-filter.ts'
import type { BulkAction, BulkRequest } from './report.ts'

/** The states of the jobs to which each action applies. */
const STATES: Readonly<Record<BulkAction, readonly JobState[]>> = {
  retry: ['failed', 'cancelled'],
  cancel: ['waiting', 'delayed', 'active'],
  remove: ['waiting', 'delayed', 'completed', 'failed', 'cancelled'],
  promote: ['delayed'],
  redrive: ['waiting', 'delayed', 'failed'],
}
/** The states to act on if the filter names none. Jobs that have not run are removed only if the filter names their state. */
const DEFAULTS = { ...STATES, remove: ['completed', 'failed', 'cancelled'] } as const
/** The default of the maximum number of jobs of a bulk action. */
const DEFAULT_LIMIT = 100_000

export interface BulkOptions {
  /** The id of the bulk action. If a bulk action with this id exists, it is returned. Default: a new id. */
  id?: string
  /** The maximum number of jobs to act on, newest first. Default 100,000. */
  limit?: number
  /** The reason for a cancellation. The history of the runs keeps it. */
  reason?: string
}

const OPTION_CHECKS: OptionChecks<BulkOptions> = {
  id: checkText,
  limit: checkCount,
  reason(what, reason) {
    if (isText(reason, 10 * MAX_COMPOSED_BYTES)) return reason
    throw invalid(what, 'a short text', reason)
  },
}

/** @throws QueueError `OPTION_INVALID`, `NAME_RESERVED` */
export function checkTarget(action: BulkAction, filter: JobFilter): Pick<BulkRequest, 'action' | 'filter'> {
  if (!Object.hasOwn(STATES, action)) {
    throw invalid('The action of bulk()', `one of ${Object.keys(STATES).join(', ')}`, action)
  }
  const checked = checkFilter('bulk()', filter)
  if (checked.queue !== undefined) assertFree('queue', checked.queue)
  if (action === 'redrive' && checked.queue === undefined) {
    throw invalid('Option "queue" of bulk()', 'the queue that holds the dead letters', checked.queue)
  }
  const wanted = checked.states ?? DEFAULTS[action]
  const states = wanted.filter((state) => STATES[action].includes(state))
  if (states.length === 0) {
    const expected = `for "${action}" one or several of ${STATES[action].join(', ')}`
    throw invalid('Option "states" of bulk()', expected, checked.states)
  }
  return { action, filter: { ...checked, states } }
}

/** @throws QueueError `OPTION_INVALID` */
export function checkBulkOptions(options: BulkOptions): { id?: string } & Pick<BulkRequest, 'limit' | 'reason'> {
  return { limit: DEFAULT_LIMIT, ...checkOptions('bulk()', options, OPTION_CHECKS) }
}
