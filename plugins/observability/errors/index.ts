import { z } from 'zod'
import {
  definePlugin,
  QueueError,
  shown,
  type EmitPayload,
  type MaybePromise,
  type SerializedError,
} from '../../../kernel/index.ts'
import {
  checkFunction,
  checkLimit,
  checkOptions,
  checkString,
  oneOf,
  type OptionChecks,
} from '../../lib/check-options.ts'
import { STATUSES, type ErrorGroup, type ErrorStatus } from './groups.ts'
import { createErrorRecorder } from './recorder.ts'
import { createErrorStore } from './store.ts'

export type { ErrorShape } from './fingerprint.ts'
export type { ErrorExample, ErrorGroup, ErrorStatus } from './groups.ts'

/** Selects error groups. */
export interface ErrorFilter extends Partial<Pick<ErrorGroup, 'status' | 'queue' | 'worker'>> {
  /** Default 100. */
  limit?: number
  /** Returns the visible part of a group, or undefined to omit the group. Called for each group until `limit` is reached. */
  show?: (group: ErrorGroup) => MaybePromise<ErrorGroup | undefined>
}

const CHECKS: OptionChecks<ErrorFilter> = {
  status: oneOf(STATUSES),
  queue: checkString,
  worker: checkString,
  limit: checkLimit,
  show: checkFunction,
}

declare module 'nuxt-queue/kernel' {
  interface Kernel {
    /**
     * Returns the error groups with which jobs failed in all processes, newest first. Errors of a worker are of the same kind if they
     * have the same name, the same message except for values, and were thrown in the same function.
     *
     * @throws QueueError `STORE_UNAVAILABLE`, `OPTION_INVALID`
     * @example
     * for (const { count, name, message } of await kernel.errors({ status: 'open' })) console.log(count, name, message)
     */
    errors(filter?: ErrorFilter): Promise<ErrorGroup[]>
    /** Returns one error group. @throws QueueError `ERROR_UNKNOWN` */
    errorGroup(fingerprint: string): Promise<ErrorGroup>
    /**
     * Resolves, ignores or reopens an error group, and returns the group. A resolved group opens again if its error occurs again, and is
     * then `regressed`. An ignored group is still counted and stays ignored.
     *
     * @throws QueueError `ERROR_UNKNOWN`, `OPTION_INVALID`
     */
    setErrorStatus(fingerprint: string, status: ErrorStatus): Promise<ErrorGroup>
  }
}

const FAILURES = new Set<string | undefined>(['step.failed', 'step.retry'])

/** Groups similar errors of jobs, across all processes. */
export default definePlugin({
  name: 'errors',
  requires: ['events'],
  options: z.strictObject({
    /** Whether this process groups the errors of its jobs. Default true. */
    enabled: z.boolean().default(true),
  }),
  setup(kernel, { enabled }) {
    const store = createErrorStore(kernel)
    const recorder = createErrorRecorder(kernel, store)

    async function find(fingerprint: string): Promise<ErrorGroup> {
      await recorder.flush()
      const group = await store.get(fingerprint)
      if (group) return group
      const hint =
        'It may have been dropped because it was not seen for a long time. List the groups with kernel.errors().'
      throw new QueueError('ERROR_UNKNOWN', `There is no error group "${fingerprint}". ${hint}`)
    }

    kernel.extend({
      async errors(options = {}) {
        const { limit = 100, show, ...filter } = checkOptions('errors()', options, CHECKS)
        await recorder.flush()
        const found: ErrorGroup[] = []
        for (const group of (await store.all()).toSorted((a, b) => b.lastSeen - a.lastSeen)) {
          if (found.length >= limit) break
          if (!matches(group, filter)) continue
          const shown = show ? await show(group) : group
          if (shown) found.push(shown)
        }
        return found
      },
      errorGroup: find,
      async setErrorStatus(fingerprint, status) {
        if (!STATUSES.includes(status)) {
          const message = `The status of an error group must be one of ${STATUSES.join(', ')}; got ${shown(status)}.`
          throw new QueueError('OPTION_INVALID', message)
        }
        await find(fingerprint)
        await store.setStatus(fingerprint, status)
        return find(fingerprint)
      },
    })
    if (!enabled) return

    function record({ ctx, result }: EmitPayload): void {
      // Uses the stored event, so that content that a hook has removed is not kept here. An event with a known key was already counted.
      const stored = result?.ok ? result.events.findLast(({ type }) => FAILURES.has(type)) : undefined
      const error = (stored?.data as { error?: SerializedError } | undefined)?.error
      if (error) recorder.add(ctx!, error)
    }

    kernel.hook('emit', record, {
      after: true,
      when: ({ ctx, events }) => ctx !== undefined && FAILURES.has(events.at(-1)?.type),
    })
    return () => recorder.close()
  },
})

function matches(group: ErrorGroup, { status, queue, worker }: Omit<ErrorFilter, 'limit' | 'show'>): boolean {
  return (
    (status === undefined || group.status === status) &&
    (queue === undefined || group.queue === queue) &&
    (worker === undefined || group.worker === worker)
  )
}
