import {
  definePlugin,
  isDeferral,
  QueueError,
  type DispatchPayload,
  type EmitPayload,
  type EventDraft,
  type Next,
  type RunContext,
} from '../../../kernel/index.ts'
import { expiryOf } from '../lib/expiry.ts'
import { expiresInRule } from './options.ts'

export type { JobExpiry } from './options.ts'

/**
 * Fails jobs that have waited longer than `expiresIn` when they would begin. `step.started` records the decision, so that it is the same
 * after a crash. A job that a limit holds back stores the moment of its expiry with `step.deferred`.
 */
export default definePlugin({
  name: 'expiry',
  requires: ['queue', 'events', 'job-options'],
  setup(kernel) {
    kernel.declareJobOption('expiresIn', expiresInRule)
    /** The moments after which jobs that have not begun must not begin. */
    const expiries = new WeakMap<RunContext, number>()
    /** The moments of jobs that are deferred before they have begun. */
    const held = new WeakMap<RunContext, number>()

    const mayExpire = ({ job }: Pick<RunContext, 'job'>): boolean =>
      job.options.expiresIn !== undefined && job.attempt === 1

    kernel.hook('emit', decide, {
      when: ({ ctx, events }) => ctx !== undefined && events[0]?.type === 'step.started' && mayExpire(ctx),
    })
    kernel.hook('dispatch', expire, { when: ({ ctx }) => expiries.has(ctx) })
    kernel.hook('emit', recordExpiry, {
      when: ({ ctx, events }) => ctx !== undefined && events[0]?.type === 'step.deferred' && held.has(ctx),
    })

    /** Decides the first claim of a job without a pause, because its dispatch does not wait for `step.started`. */
    function decide(payload: EmitPayload, next: Next): ReturnType<Next> {
      const { job, runId, claim, dueAt } = payload.ctx!
      const expiresIn = job.options.expiresIn!
      if (claim === 1) return record(payload, dueAt + expiresIn, next)
      const expiry = expiryOf(kernel, { id: job.id, runId, claim, dueAt, expiresIn })
      return expiry.then((moment) => record(payload, moment, next))
    }

    function record({ ctx, events }: EmitPayload, expiry: number | undefined, next: Next): ReturnType<Next> {
      if (expiry !== undefined) expiries.set(ctx!, expiry)
      if (expiry !== undefined && ctx!.startedAt > expiry) addData(events, { expired: true })
      return next()
    }

    async function expire(dispatch: DispatchPayload, next: Next): Promise<void> {
      const { job, ctx } = dispatch
      const expiry = expiries.get(ctx)!
      if (ctx.startedAt > expiry) {
        const message = `Job "${job.id}" (${job.name}) waited longer than its "expiresIn" of ${job.options.expiresIn} ms and was not run.`
        const hint = 'Add workers, or raise "expiresIn". To run the job nevertheless, retry it.'
        throw new QueueError('JOB_EXPIRED', `${message} ${hint}`, { retryable: false })
      }
      await next()
      const { result } = dispatch
      if (!isDeferral(result) || ctx.invocation > 0) return
      // A window of `debounce` moves the moment at which the job is due.
      const moment = job.options.debounce ? result.runAt + job.options.expiresIn! : expiry
      held.set(ctx, moment)
      // The job ends when it expires, and not only when its limit is checked again.
      const { runAt, holdQueue } = result
      if (runAt > moment) dispatch.result = ctx.defer({ until: moment + 1, holdQueue })
    }

    function recordExpiry({ ctx, events }: EmitPayload, next: Next): ReturnType<Next> {
      addData(events, { expiresAt: held.get(ctx!) })
      return next()
    }
  },
})

function addData(events: EventDraft[], facts: object): void {
  const [first] = events
  events[0] = { ...first!, data: { ...(first!.data as object), ...facts } }
}
